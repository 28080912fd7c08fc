"""Backbones of transformers, tiny and random, saved to a folder: which output is taken, and what is refused."""

import numpy as np
import pytest
import torch
from counting_cases import pictures
from safetensors.torch import load_file, save_file

from limner import features
from limner.errors import ConfigError, MissingExtra, ModelError
from limner.features import huggingface
from limner.features.huggingface import HuggingFace

transformers = pytest.importorskip("transformers")
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
SEEN = {"image_size": 32, "patch_size": 8}


def saved(model, folder, **settings):
    """A network and a processor in a folder, as the hub has them."""
    settings = {"size": {"height": 32, "width": 32}, **settings}
    model.eval().save_pretrained(folder)
    transformers.ViTImageProcessorPil(**settings).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", autouse=True)
def quiet():
    with huggingface._quiet():
        yield


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    return transformers.ViTModel(transformers.ViTConfig(**SMALL, **SEEN))


@pytest.fixture(scope="module")
def vit_folder(vit, tmp_path_factory):
    return saved(vit, tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    torch.manual_seed(0)
    texts = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = transformers.CLIPConfig(
        text_config={**texts, "vocab_size": 50}, vision_config={**SMALL, **SEEN}, projection_dim=16
    )
    folder = tmp_path_factory.mktemp("clip")
    transformers.CLIPModel(config).save_pretrained(folder)
    size = {"shortest_edge": 32}
    transformers.CLIPImageProcessorPil(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pool", ["pooled", "cls", "mean"])
def test_features_are_the_output_that_was_asked_for(vit, vit_folder, pool):
    images = pictures(3, 40, 30, 3)
    processor = transformers.ViTImageProcessorPil.from_pretrained(vit_folder)
    with torch.inference_mode():
        seen = vit(processor(images=list(images), return_tensors="pt")["pixel_values"])
    expected = {
        "pooled": seen.pooler_output,
        "cls": seen.last_hidden_state[:, 0],
        "mean": seen.last_hidden_state.mean(1),
    }[pool]
    extractor = features.load(f"hf:{vit_folder}@{pool}")
    assert np.allclose(extractor(images).pooled, expected.numpy(), atol=1e-5)
    assert extractor.name.startswith(f"{vit_folder.name}-{pool}-") and extractor.dimension == 32


def test_the_trained_summary_is_the_default_and_outputs_are_different_spaces(vit_folder):
    default, cls = HuggingFace(str(vit_folder)), HuggingFace(str(vit_folder), pool="cls")
    assert "-pooled-" in default.name and default.sha256 != cls.sha256
    assert "ViTImageProcessorPil" in default.resize and "32" in default.resize


def test_features_do_not_depend_on_the_batch(vit_folder):
    extractor, images = HuggingFace(str(vit_folder)), pictures(10, 20, 20, 3)
    together = extractor(images).pooled
    assert np.abs(extractor(images[9:]).pooled - together[9:]).max() < 1e-6


def test_gray_and_alpha_are_prepared_as_everywhere(vit_folder):
    extractor, gray = HuggingFace(str(vit_folder)), pictures(2, 20, 20, 1)
    assert np.array_equal(extractor(gray).pooled, extractor(np.repeat(gray, 3, axis=3)).pooled)
    clear = np.zeros((1, 20, 20, 4), np.uint8)
    assert np.array_equal(extractor(clear).pooled, extractor(np.full((1, 20, 20, 3), 255, np.uint8)).pooled)


def test_clip_gives_its_image_embedding_and_needs_no_text(clip_folder):
    images = pictures(2, 32, 48, 3)
    extractor = HuggingFace(str(clip_folder))
    model = transformers.CLIPModel.from_pretrained(clip_folder).eval()
    processor = transformers.CLIPImageProcessorPil.from_pretrained(clip_folder)
    with torch.inference_mode():
        found = model.get_image_features(**processor(images=list(images), return_tensors="pt"))
    expected = found if isinstance(found, torch.Tensor) else found.pooler_output
    assert extractor.dimension == 16 and np.allclose(extractor(images).pooled, expected.numpy(), atol=1e-5)
    assert HuggingFace(str(clip_folder), pool="mean").dimension == 32


def test_a_summary_that_was_not_trained_is_never_taken(tmp_path):
    """transformers fills in what a file lacks with random weights; a space of those would be another every time."""
    folder = saved(transformers.ViTModel(transformers.ViTConfig(**SMALL, **SEEN), add_pooling_layer=False), tmp_path)
    assert "-cls-" in HuggingFace(str(folder)).name
    with pytest.raises(ConfigError, match="no trained summary"):
        HuggingFace(str(folder), pool="pooled")


def test_networks_of_places_are_averaged(tmp_path):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    folder = saved(transformers.ResNetModel(config), tmp_path)
    images = pictures(2, 32, 32, 3)
    pooled, mean = (HuggingFace(str(folder), pool=pool)(images).pooled for pool in ("pooled", "mean"))
    assert pooled.shape == (2, 16) and np.allclose(pooled, mean, atol=1e-6)
    with pytest.raises(ConfigError, match="this network has places"):
        HuggingFace(str(folder), pool="cls")


def test_weights_that_would_be_random_are_refused(vit, tmp_path):
    folder = saved(vit, tmp_path)
    state = load_file(folder / "model.safetensors")
    name = next(name for name in state if "intermediate" in name)
    del state[name]
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="they would be random"):
        HuggingFace(str(folder))


def test_a_network_for_texts_is_refused(tmp_path):
    config = transformers.BertConfig(**SMALL, vocab_size=50)
    with pytest.raises(ModelError, match="BertModel is no vision network"):
        HuggingFace(str(saved(transformers.BertModel(config), tmp_path)))


def test_pickled_weights_are_not_read(vit, tmp_path):
    folder = saved(vit, tmp_path)
    torch.save(vit.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no network"):
        HuggingFace(str(folder))


def test_a_folder_without_a_processor_is_refused(vit, tmp_path):
    vit.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no image processor"):
        HuggingFace(str(tmp_path))


def test_offline_an_id_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="LIMNER_OFFLINE is set"):
        HuggingFace("nobody/no-such-network")


def test_an_unknown_pool_and_a_missing_package_are_named(vit_folder, monkeypatch):
    with pytest.raises(ConfigError, match="did you mean mean"):
        HuggingFace(str(vit_folder), pool="mena")

    def require(module, extra):
        raise MissingExtra(f"limner[{extra}]")

    monkeypatch.setattr(huggingface, "require", require)
    with pytest.raises(MissingExtra, match=r"limner\[transformers\]"):
        HuggingFace(str(vit_folder))
