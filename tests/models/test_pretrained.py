"""Pretrained models in diffusers format: tiny random pipelines made here, with the library itself as the oracle."""

import json

import numpy as np
import properties
import pytest
import torch
from runs import stepper

import limner
from limner import models
from limner.errors import ConfigError, ModelError
from limner.model import Denoises, Samples
from limner.models.pretrained_levels import Levels, scales, target
from limner.rng import ImageRng
from limner.tasks.generate import options_of
from limner.types import Batch, Condition, DataSpec

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

UNET = {
    "sample_size": 8,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    "norm_num_groups": 4,
}
READING = {
    **UNET,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "cross_attention_dim": 16,
    "attention_head_dim": 2,
}
CLIP = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
FREE = {"clip_sample": False}
LATENT = {**FREE, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    level = diffusers.utils.logging.get_verbosity()
    diffusers.utils.logging.set_verbosity_error()
    yield
    diffusers.utils.logging.set_verbosity(level)


def shaken(module):
    """With weights in which nothing is zero, so that every part matters."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval()


def pixel_pipeline(scheduler=None, **changes):
    unet = shaken(diffusers.UNet2DModel(**{**UNET, **changes}))
    return diffusers.DDIMPipeline(unet=unet, scheduler=scheduler or diffusers.DDIMScheduler(**FREE))


def autoencoder():
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    sizes = {"block_out_channels": (4, 8), "latent_channels": 4, "norm_num_groups": 2, "sample_size": 16}
    return shaken(diffusers.AutoencoderKL(**blocks, **sizes))


def tokenizer():
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "re", "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: place for place, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[("r", "e")], model_max_length=12)


def text_pipeline():
    torch.manual_seed(1)
    reader = tokenizer()
    ends = {"vocab_size": len(reader), "bos_token_id": 53, "eos_token_id": 54, "max_position_embeddings": 12}
    return diffusers.StableDiffusionPipeline(
        vae=autoencoder(),
        text_encoder=shaken(transformers.CLIPTextModel(transformers.CLIPTextConfig(**CLIP, **ends))),
        tokenizer=reader,
        unet=shaken(diffusers.UNet2DConditionModel(**READING)),
        scheduler=diffusers.DDIMScheduler(**LATENT),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def class_pipeline():
    transformer = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=8,
        num_embeds_ada_norm=5,
    )
    scheduler = diffusers.DDIMScheduler(**FREE)
    names = {k: f"kind {k}" for k in range(5)}
    return diffusers.DiTPipeline(transformer=shaken(transformer), vae=autoencoder(), scheduler=scheduler, id2label=names)


MAKERS = {"pixels": pixel_pipeline, "text": text_pipeline, "classes": class_pipeline}


@pytest.fixture(scope="module")
def pipelines():
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def folders(pipelines, tmp_path_factory):
    for name, pipeline in pipelines.items():
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(tmp_path_factory.getbasetemp() / name)
    return {name: tmp_path_factory.getbasetemp() / name for name in pipelines}


def drawn(model, count=2, seed=3):
    """The noise that `count` images of a seed begin with."""
    return ImageRng(seed, range(count)).normal(*model.space_shape)


def made(model, condition, count=2, **options):
    return model.sample(ImageRng(3, range(count)), condition, options_of(model, {"solver": "ddim", "steps": 5, **options}))


# --- the library as the oracle --------------------------------------------------------------------------------------


def test_ddim_at_the_schedulers_levels_is_the_librarys(folders, pipelines, monkeypatch):
    model = limner.load(folders["pixels"]).network
    noise = drawn(model)
    monkeypatch.setattr("diffusers.pipelines.ddim.pipeline_ddim.randn_tensor", lambda *_, **__: noise)
    wanted = pipelines["pixels"](batch_size=2, num_inference_steps=5, output_type="pt").images
    assert wanted.std() > 0.05 and torch.allclose(made(model, Condition()) / 2 + 0.5, wanted, atol=1e-4)
