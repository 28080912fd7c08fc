"""Pretrained models in diffusers format: tiny random pipelines made here, with the library itself as the oracle."""

import json
from fnmatch import fnmatch

import numpy as np
import properties
import pytest
import torch
from runs import stepper

import limner
from limner import models
from limner.api import imported
from limner.diffusion import paths, solvers
from limner.diffusion.editing import inpainting
from limner.errors import ConfigError, ModelError
from limner.model import Denoises, Samples, Step
from limner.models.pretrained_levels import Levels, scales, target
from limner.rng import ImageRng, StepRng
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
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        num_embeds_ada_norm=1000,  # the library's pipeline takes row 1000 for no class
    )
    scheduler = diffusers.DDIMScheduler(**FREE)
    return diffusers.DiTPipeline(transformer=shaken(transformer), vae=autoencoder(), scheduler=scheduler)


MAKERS = {"pixels": pixel_pipeline, "text": text_pipeline, "classes": class_pipeline}


@pytest.fixture(scope="module")
def pipelines():
    return {name: make() for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def folders(pipelines, tmp_path_factory):
    for name, pipeline in pipelines.items():
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(tmp_path_factory.getbasetemp() / name)
    made = {name: tmp_path_factory.getbasetemp() / name for name in pipelines}
    index = made["classes"] / "model_index.json"  # where published ones name their classes
    index.write_text(json.dumps(json.loads(index.read_text()) | {"id2label": {str(k): f"kind {k}" for k in range(5)}}))
    return made


def drawn(model, count=2, seed=3):
    """The noise that `count` images of a seed begin with."""
    return ImageRng(seed, range(count)).normal(*model.space_shape)


def made(model, condition, count=2, **options):
    return model.sample(
        ImageRng(3, range(count)), condition, options_of(model, {"solver": "ddim", "steps": 5, **options})
    )


# --- the library as the oracle --------------------------------------------------------------------------------------


def test_ddim_at_the_schedulers_levels_is_the_librarys(folders, pipelines, monkeypatch):
    model = limner.load(folders["pixels"]).network
    noise = drawn(model)
    monkeypatch.setattr("diffusers.pipelines.ddim.pipeline_ddim.randn_tensor", lambda *_, **__: noise)
    wanted = pipelines["pixels"](batch_size=2, num_inference_steps=5, output_type="pt").images
    assert wanted.std() > 0.05 and torch.allclose(made(model, Condition()) / 2 + 0.5, wanted, atol=1e-4)


@pytest.mark.parametrize("prediction", ["sample", "v_prediction"])
def test_every_prediction_means_what_it_means_to_the_library(prediction, pipelines):
    """The image seen at a level is the one that the library's scheduler sees."""
    scheduler = diffusers.DDIMScheduler(**FREE, prediction_type=prediction)
    levels = Levels(dict(scheduler.config))
    noisy, predicted = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    scheduler.set_timesteps(10)
    wanted = scheduler.step(predicted, 500, noisy).pred_original_sample
    sigma = levels.sigma[500:501]
    skip, out = scales(levels.prediction, sigma)
    x = noisy * (1 + sigma.square()).sqrt().float()
    assert torch.allclose(skip.float() * x + out.float() * predicted, wanted, atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_the_target_is_what_makes_the_denoiser_see_the_image(prediction):
    image, noise = torch.randn(2, 5, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.01, 0.3, 1.0, 4.0, 60.0], dtype=torch.float64)
    skip, out = (part.view(-1, 1, 1, 1) for part in scales(prediction, sigma))
    x = image + sigma.view(-1, 1, 1, 1) * noise
    assert torch.allclose(skip * x + out * target(prediction, image, noise, sigma), image, atol=1e-4)


def test_clipped_predictions_are_the_librarys(pipelines, folders, monkeypatch, tmp_path):
    pipeline = pixel_pipeline(scheduler=diffusers.DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(tmp_path / "clipped")
    model = limner.load(tmp_path / "clipped").network
    noise = drawn(model)
    monkeypatch.setattr("diffusers.pipelines.ddim.pipeline_ddim.randn_tensor", lambda *_, **__: noise)
    wanted = pipeline(batch_size=2, num_inference_steps=5, use_clipped_model_output=True, output_type="pt").images
    found = made(model, Condition()) / 2 + 0.5
    assert torch.allclose(found, wanted, atol=1e-4)
    assert not torch.allclose(made(limner.load(folders["pixels"]).network, Condition()) / 2 + 0.5, wanted, atol=1e-2)


def test_text_to_image_with_guidance_is_the_librarys(folders, pipelines):
    model = limner.load(folders["text"]).network
    texts, negative = ["a red car", "tree"], "blue"
    wanted = pipelines["text"](
        texts,
        negative_prompt=[negative] * 2,
        latents=drawn(model),
        guidance_scale=3.0,
        num_inference_steps=5,
        output_type="pt",
    ).images
    found = made(model, Condition(text=texts), guidance=3.0, negative=negative) / 2 + 0.5
    assert wanted.std() > 0.01 and torch.allclose(found, wanted, atol=1e-4)
    plain = made(model, Condition(text=texts), guidance=3.0) / 2 + 0.5
    assert not torch.allclose(plain, wanted, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_transformer_of_classes_is_the_librarys(folders, pipelines, monkeypatch, guidance):
    model = limner.load(folders["classes"]).network
    noise = drawn(model)
    monkeypatch.setattr("diffusers.pipelines.dit.pipeline_dit.randn_tensor", lambda *_, **__: noise)
    wanted = pipelines["classes"]([4, 1], guidance_scale=guidance, num_inference_steps=5, output_type="np").images
    found = made(model, Condition(label=torch.tensor([4, 1])), guidance=guidance) / 2 + 0.5
    assert wanted.std() > 0.01
    assert np.allclose(found.permute(0, 2, 3, 1).numpy(), wanted, atol=1e-4)


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_the_levels_are_those_that_the_scheduler_takes(spacing):
    scheduler = diffusers.DDIMScheduler(timestep_spacing=spacing)
    levels = Levels(dict(scheduler.config))
    scheduler.set_timesteps(7)
    kept = scheduler.alphas_cumprod[scheduler.timesteps].double()
    assert torch.allclose(levels.times(7)[:-1], ((1 - kept) / kept).sqrt()) and levels.times(7)[-1] == 0
    assert torch.allclose(levels.timestep(levels.times(7)[:-1]), scheduler.timesteps.float(), atol=1e-4)


def test_a_level_between_two_is_counted_between_them():
    levels = Levels(dict(diffusers.DDPMScheduler().config))
    between = (levels.sigma[300] * levels.sigma[301]).sqrt()
    assert levels.timestep(between[None]).item() == pytest.approx(300.5, abs=1e-3)
    assert levels.timestep(torch.tensor([0.0, 1e9])).tolist() == [0, 999]


# --- as any other model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_it_samples_and_denoises_and_each_row_stands_alone(folders, kind):
    model = limner.load(folders[kind]).network
    assert isinstance(model, Samples) and isinstance(model, Denoises)
    condition = Condition(label=torch.tensor([0, 4, 2]), text=["a red car", "", "tree"])
    together = model.sample(ImageRng(3, range(3)), condition, options_of(model, {"steps": 4, "guidance": 2.0}))
    assert together.shape == (3, *model.data.shape) and together.abs().max() <= 1
    for row in range(3):
        alone = model.sample(
            ImageRng(3, [row]), condition.rows(row, row + 1), options_of(model, {"steps": 4, "guidance": 2.0})
        )
        assert torch.allclose(alone, together[row : row + 1], atol=1e-5)


def test_a_hole_is_filled_and_what_is_known_stays(folders):
    """Limner's editing takes it as it takes any denoiser."""
    model, options = limner.load(folders["pixels"]).network, options_of(limner.load(folders["pixels"]).network, {})
    known, mask = model.enter(batch_for(model).image), torch.zeros(4, 1, 8, 8)
    mask[..., :4] = 1
    see = inpainting(model.denoiser(Condition(), options, 4), known, mask)
    found = solvers.solve("dpm", see, drawn(model, 4), model.path, paths.times(model.path, 6), ImageRng(3, range(4)))
    assert torch.allclose(found[..., 4:], known[..., 4:], atol=1e-5)
    assert not torch.allclose(found[..., :4], known[..., :4], atol=0.1)


@pytest.mark.parametrize("kind", MAKERS)
def test_saved_loaded_and_exported_it_makes_the_same_pictures(folders, kind, tmp_path):
    """diffusers -> Limner -> its model folder, which needs nothing of the source -> diffusers -> Limner."""
    first = limner.load(folders[kind])
    first.save(tmp_path / "model")
    second = limner.load(tmp_path / "model")
    third = limner.load(second.export(tmp_path / "pipeline"))
    options = {"steps": 3, **({"text": "red"} if kind == "text" else {})}
    pictures = [trained.sample(2, seed=1, **options).images for trained in (first, second, third)]
    assert np.array_equal(pictures[0], pictures[1]) and np.array_equal(pictures[0], pictures[2])
    assert first.sha256 == second.sha256 == third.sha256 and first.data == second.data == third.data
    assert str(folders[kind].parent) not in (tmp_path / "model" / "config.json").read_text()
    with pytest.raises(ConfigError, match="already holds a pipeline"):
        second.export(tmp_path / "pipeline")


@pytest.mark.parametrize("kind", MAKERS)
def test_from_the_hub_it_takes_the_files_that_it_needs_and_no_others(folders, kind, tmp_path, monkeypatch):
    """With another set of weights beside the one that is wanted, and an older tokenizer, in files of its own."""
    shelf = limner.load(folders[kind]).export(tmp_path / "shelf")
    names = [str(path.relative_to(shelf)) for path in shelf.rglob("*.safetensors")]
    spare = {name.replace(".safetensors", end) for name in names for end in (".fp16.safetensors", ".bin")}
    for name in spare:
        (shelf / name).write_bytes(b"not to be fetched")
    (shelf / "tokenizer" / "tokenizer.json").unlink(missing_ok=True)

    def download(source, *, allow_patterns, local_files_only):
        assert source == "owner/name" and not local_files_only
        files = [path for path in shelf.rglob("*") if path.is_file()]
        for path in (path for path in files if any(fnmatch(path.relative_to(shelf), one) for one in allow_patterns)):
            place = tmp_path / "cache" / path.relative_to(shelf)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
        return str(tmp_path / "cache")

    monkeypatch.delenv("LIMNER_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    found, options = imported("owner/name"), {"text": "a red car"} if kind == "text" else {}
    assert found.about["source"] == "owner/name" and found.sha256 == limner.load(folders[kind]).sha256
    assert not [name for name in spare if (tmp_path / "cache" / name).exists()]
    pictures = [one.sample(1, steps=2, **options).images for one in (found, limner.load(folders[kind]))]
    assert np.array_equal(*pictures)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_library_loads_what_is_exported(folders, pipelines, kind, tmp_path):
    limner.load(folders[kind]).export(tmp_path / "out")
    again = type(pipelines[kind]).from_pretrained(tmp_path / "out", low_cpu_mem_usage=False)
    for name, part in pipelines[kind].components.items():
        if isinstance(part, torch.nn.Module):
            for (key, one), (_, other) in zip(
                part.state_dict().items(), getattr(again, name).state_dict().items(), strict=True
            ):
                assert torch.equal(one, other), (name, key)
    if kind == "text":
        assert again.tokenizer("a red car")["input_ids"] == pipelines[kind].tokenizer("a red car")["input_ids"]


def batch_for(model, count=4):
    image = torch.rand(count, *model.data.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    label = torch.arange(count) % max(1, len(model.data.classes))
    texts = ["red", "tree", "", "car"] * (count // 4)
    return Batch(image, Condition(label=label if model.data.classes else None, text=texts))


@pytest.mark.parametrize("kind", MAKERS)
def test_the_loss_is_that_of_the_librarys_training(folders, pipelines, kind):
    """The error of what is predicted, in the autoencoder's scaled latents, at levels and with noise that are drawn."""
    data = limner.load(folders[kind]).data
    config = models.configure("diffusers", {"source": str(folders[kind]), "condition_dropout": 0.5})
    model, pipe = models.build("diffusers", config, data).train(), pipelines[kind]
    batch, (ours, theirs) = batch_for(model, 8), (StepRng(0, 0, start=0, stop=8, total=8) for _ in range(2))
    loss = next(model.losses(batch, Step(0, 0, ours)))
    timestep, noise, hidden = theirs.integers(1000), theirs.normal(*model.space_shape), theirs.uniform() < 0.5
    assert hidden.any() and not hidden.all()
    inputs, network, space = {}, getattr(pipe, "transformer", None) or pipe.unet, batch.image
    if kind != "pixels":
        space = pipe.vae.encode(batch.image).latent_dist.mean * pipe.vae.config.scaling_factor
    if kind == "text":
        texts = ["" if gone else text for text, gone in zip(batch.condition.text, hidden, strict=True)]
        tokens = pipe.tokenizer(texts, padding="max_length", max_length=12, truncation=True, return_tensors="pt")
        inputs["encoder_hidden_states"] = pipe.text_encoder(tokens["input_ids"])[0]
    if kind == "classes":
        inputs["class_labels"] = batch.condition.label.masked_fill(hidden, 1000)
    noisy = pipe.scheduler.add_noise(space, noise, timestep)
    with torch.no_grad():
        predicted = network(noisy, timestep=timestep, **inputs).sample[:, : space.shape[1]]
    assert torch.allclose(loss.value, (predicted - noise).square().mean(), rtol=1e-4)
    low, high = (loss.terms()[name].item() for name in ("low_noise", "high_noise"))
    assert low != high and (low + high) / 2 == pytest.approx(loss.value.item(), rel=1e-4)  # four rows each


def test_training_draws_from_nothing_but_its_own_source(folders):
    """The library's DiT drops labels with torch's global generator, unless it is told not to."""
    model = models.build(
        "diffusers", models.configure("diffusers", {"source": str(folders["classes"])}), DataSpec(3, 16, 16)
    )
    found = set()
    for seed in range(5):
        torch.manual_seed(seed)
        rng = StepRng(0, 0, start=0, stop=8, total=8)
        found.add(next(model.train().losses(batch_for(model, 8), Step(0, 0, rng))).value.item())
    assert len(found) == 1


def test_latents_are_shifted_and_scaled_and_back(tmp_path):
    """Some autoencoders say where the middle of their latents is."""
    pipeline = class_pipeline()
    pipeline.vae.register_to_config(shift_factor=0.4, scaling_factor=1.7)
    pipeline.save_pretrained(tmp_path / "shifted")
    model = limner.load(tmp_path / "shifted").network
    image = batch_for(model).image
    with torch.no_grad():
        latent = pipeline.vae.encode(image).latent_dist.mean
        assert torch.allclose(model.enter(image), (latent - 0.4) * 1.7, atol=1e-6)
        assert torch.allclose(
            model.leave((latent - 0.4) * 1.7), pipeline.vae.decode(latent).sample.clamp(-1, 1), atol=1e-5
        )


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("finetune", ["unet", "none"])
def test_fine_tuning_moves_the_network_that_denoises_and_nothing_else(folders, kind, finetune):
    data = limner.load(folders[kind]).data
    config = models.configure("diffusers", {"source": str(folders[kind]), "finetune": finetune})
    model = models.build("diffusers", config, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    if finetune == "none":
        assert model.phases() == {"model": []}
        return
    stepper(model).step(batch_for(model), 0, 0)
    assert not any(module.training for part in (model.vae, model.text) if part is not None for module in part.modules())
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved and {name.split(".")[0] for name in moved} == {"network"}


def test_a_model_that_reads_is_guided_unless_told_otherwise(folders):
    assert {kind: options_of(limner.load(folders[kind]).network, {}).guidance for kind in MAKERS} == {
        "pixels": 1.0,
        "text": 7.5,
        "classes": 1.0,
    }
    trained = limner.load(folders["text"])
    usual, strong, plain = (
        trained.sample(1, text="red", steps=3, **how).images for how in ({}, {"guidance": 7.5}, {"guidance": 1.0})
    )
    assert np.array_equal(usual, strong) and not np.array_equal(usual, plain)


def test_a_stressed_word_changes_the_picture(folders):
    trained = limner.load(folders["text"])
    plain, same, stressed = (
        trained.sample(1, text=text, steps=3).images for text in ("red car", "red car", "(red:3) car")
    )
    assert np.array_equal(plain, same) and not np.array_equal(plain, stressed)


def test_the_network_of_classes_must_be_told_one_or_has_a_row_for_none(folders, tmp_path):
    pixel_pipeline(num_class_embeds=3).save_pretrained(tmp_path / "told")
    told = limner.load(tmp_path / "told")
    assert told.data.classes == ("0", "1", "2")
    one, other = (told.sample(2, label=label, steps=2).images for label in ("0", "2"))
    assert not np.array_equal(one, other)
    with pytest.raises(ConfigError, match="must be told a class, 0 to 2"):
        made(told.network, Condition())
    free = limner.load(folders["classes"]).network
    assert free.data.classes[:2] == ("kind 0", "kind 1") and free.null == 1000
    nothing = made(free, Condition(label=torch.tensor([-1, -1])))
    assert torch.equal(nothing, made(free, Condition())) and not torch.equal(
        nothing, made(free, Condition(label=torch.tensor([0, 0])))
    )


# --- a new network --------------------------------------------------------------------------------------------------

HELD = [
    properties.same_seed_same_bits,
    properties.alone_as_together,
    properties.phases_own_everything,
    properties.phases_keep_to_their_own,
    properties.suggestions_are_read,
    properties.learns_one_batch,
    properties.hears_its_label,
]


@pytest.mark.parametrize("hold", HELD, ids=lambda hold: hold.__name__)
def test_a_new_network_keeps_the_promises_of_every_model(hold, digits):
    hold("diffusers", digits)


def test_a_new_network_survives_saving_and_stopping(digits, tmp_path):
    properties.survives_saving("diffusers", digits, tmp_path / "model")
    properties.resumes_as_never_stopped("diffusers", digits, tmp_path)


def test_a_new_network_that_is_not_conditional_keeps_to_itself(digits):
    properties.keeps_to_itself("diffusers", digits)


def test_a_misspelt_setting_is_refused():
    properties.refuses_unknown_settings("diffusers")


# --- what is refused ------------------------------------------------------------------------------------------------


def copied(folder, target, part, **changes):
    """A copy of a pipeline's folder with other settings in one JSON file of it; None removes the file."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            place = target / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    file = target / part
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return target


REFUSED = {
    "other networks": ("text", "model_index.json", {"vae": ["diffusers", "VQModel"]}, "vae=VQModel is not one"),
    "a part too many": ("text", "model_index.json", {"controlnet": ["diffusers", "X"]}, "config.json cannot be read"),
    "code of its own": ("pixels", "model_index.json", {"unet": ["my_pipeline", "Evil"]}, "unet=Evil is not one"),
    "no network": ("pixels", "model_index.json", {"unet": [None, None]}, "has no unet or transformer"),
    "levels of another kind": (
        "pixels",
        "scheduler/scheduler_config.json",
        {"prediction_type": "flow"},
        "predicts 'flow'",
    ),
    "thresholding": ("pixels", "scheduler/scheduler_config.json", {"thresholding": True}, "thresholds dynamically"),
    "an unknown input": (
        "text",
        "unet/config.json",
        {"addition_embed_type": "text_time"},
        "addition_embed_type=text_time",
    ),
    "a mask beside the noise": ("text", "unet/config.json", {"in_channels": 9}, "takes 9 channels"),
    "weights of another shape": (
        "pixels",
        "unet/config.json",
        {"block_out_channels": [4, 16]},
        "no weights that Limner",
    ),
    "settings of no network": (
        "pixels",
        "unet/config.json",
        {"down_block_types": ["X", "Y"]},
        "no weights that Limner",
    ),
    "no size": ("pixels", "unet/config.json", {"sample_size": None}, "names no sample_size"),
}


@pytest.mark.parametrize(("kind", "part", "changes", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_read_is_refused_by_name(folders, tmp_path, kind, part, changes, message):
    with pytest.raises(ModelError, match=message):
        limner.load(copied(folders[kind], tmp_path / "copy", part, **changes))


def test_a_scheduler_without_betas_is_refused():
    with pytest.raises(ModelError, match="EulerFlow.* has no betas"):
        Levels({"_class_name": "EulerFlow", "num_train_timesteps": 1000})


def test_weights_are_read_from_safetensors_alone(folders, tmp_path):
    folder = copied(folders["pixels"], tmp_path / "copy", "unet/config.json")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelError, match="safetensors"):
        limner.load(folder)


def test_a_damaged_description_in_a_model_folder_is_refused(folders):
    components = limner.load(folders["pixels"]).network.config.parts
    broken = components | {"unet": components["unet"] | {"block_out_channels": [3]}}
    with pytest.raises(ModelError, match="describe no networks"):
        models.build("diffusers", models.configure("diffusers", {"parts": broken}), DataSpec(3, 8, 8))


def test_what_is_neither_folder_nor_id_is_said_to_be_missing_offline(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_OFFLINE", "1")
    with pytest.raises(ModelError, match="owner/none is no folder, and LIMNER_OFFLINE is set"):
        imported("owner/none")
    with pytest.raises(ModelError, match="it has no model_index.json"):
        imported(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 1}, "the data has 1 channels, and this model 3"),
        ({"height": 18}, "use multiples of 4"),
        ({"classes": tuple(map(str, range(1002)))}, "1002 classes, and this network knows 1001"),
    ],
)
def test_data_that_does_not_fit_is_refused(folders, changes, message):
    config = models.configure("diffusers", {"source": str(folders["classes"])})
    with pytest.raises(ConfigError, match=message):
        models.build("diffusers", config, DataSpec(**({"channels": 3, "height": 16, "width": 16} | changes)))


def test_more_steps_than_levels_are_refused(folders):
    with pytest.raises(ConfigError, match="trained at 1000 levels"):
        limner.load(folders["pixels"]).sample(1, steps=1001)
