"""EfficientNet-Lite0: the same numbers as its authors' network, in any batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from counting_cases import pictures
from torch.nn import functional

from limner import features
from limner.engine import How
from limner.errors import MissingExtra, ModelError
from limner.features import lite0, weights
from limner.features.extractor import Extractor


@pytest.fixture(scope="module")
def extractor():
    return features.load("lite0", engine="torch")


@pytest.fixture(scope="module")
def published():
    """The network of the package that the weights were published with."""
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(dict(weights.load(lite0.weights_file()).tensors))
    return network


def test_it_says_what_it_is(extractor):
    assert isinstance(extractor, Extractor)
    assert (extractor.name, extractor.dimension, extractor.classes) == ("Lite0", 1280, 1000)
    assert (extractor.resize, extractor.precision) == ("squash to 128×128, antialiased bicubic", "fp32")


def test_features_and_logits_are_those_of_the_published_network(extractor, published):
    images = pictures(3, 40, 40, 3)
    images[0, :, :20] = 255  # edges, as photographs have them
    ready = extractor.preparation(images)
    with torch.inference_mode():
        pooled, logits = published.extract_features(ready).mean((2, 3)).numpy(), published(ready).numpy()
    found = extractor(images)
    assert np.abs(found.pooled - pooled).max() < 1e-4
    assert np.abs(found.logits - logits).max() < 1e-4


def test_maps_of_floats_are_those_of_the_same_images_and_feel_steps_below_a_gray_level(extractor):
    images = pictures(2, 32, 32, 3)
    floats = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1
    for ours, theirs in zip(extractor.float_maps(floats), extractor.maps(images), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)
    moved = extractor.float_maps(floats + 1e-3)  # an eighth of a gray level
    assert not torch.allclose(moved[0], extractor.float_maps(floats)[0], atol=1e-4)


def test_maps_are_the_widened_features_of_the_published_blocks(extractor, published):
    images = pictures(2, 32, 32, 3)
    found = {}
    for index in (1, 3, 5, 11):  # the blocks that halve the image
        block = published._blocks[index]
        block._depthwise_conv.register_forward_pre_hook(lambda _, inputs, index=index: found.update({index: inputs[0]}))
    with torch.inference_mode():
        published(extractor.preparation(images))
    maps = extractor.maps(images)
    assert [tuple(part.shape) for part in maps] == [(2, 96, 64, 64), (2, 144, 32, 32), (2, 240, 16, 16), (2, 672, 8, 8)]
    assert all(part.dtype == torch.float32 and part.min() >= 0 and part.max() <= 6 for part in maps)
    assert all((part - found[index]).abs().max() < 1e-4 for part, index in zip(maps, (1, 3, 5, 11), strict=True))


def test_features_do_not_depend_on_the_batch(extractor):
    images = pictures(lite0.TILE + 3, 24, 24, 3)
    together = extractor(images)
    alone = extractor(images[-1:])
    assert np.abs(alone.pooled - together.pooled[-1:]).max() < 1e-6
    assert np.abs(alone.logits - together.logits[-1:]).max() < 1e-5
    assert torch.equal(extractor.maps(images[:1])[0], extractor.maps(images[:5])[0][:1])
    assert np.array_equal(extractor(images).pooled, together.pooled)


@pytest.mark.parametrize(
    ("side", "kernel", "before", "after"), [(8, 3, 0, 1), (7, 3, 1, 1), (8, 5, 1, 2), (7, 5, 2, 2), (9, 3, 1, 1)]
)
def test_what_is_missing_is_padded_at_the_end_as_tensorflow_pads(side, kernel, before, after):
    layer = lite0._Same(1, 1, kernel, 2)
    image = torch.from_numpy(pictures(1, side, side)[:, None]).float()
    padded = functional.pad(image, (before, after, before, after))
    assert torch.allclose(layer(image), functional.conv2d(padded, layer.weight, layer.bias, 2), atol=1e-4)
    assert layer(image).shape[2] == -(-side // 2)


def test_no_images_have_no_features(extractor):
    found = extractor(pictures(0, 8, 8, 3))
    assert found.pooled.shape == (0, 1280) and found.logits.shape == (0, 1000)


def test_bf16_errs_by_little_and_says_that_it_is_bf16():
    full, half = (lite0.Lite0(side=32, how=How("torch", precision)) for precision in ("fp32", "bf16"))
    images = pictures(2, 32, 32, 3)
    for exact, rough in [(full(images).pooled, half(images).pooled), (full.maps(images)[1], half.maps(images)[1])]:
        assert 0 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.05
    assert half.precision == "bf16"


def test_without_the_package_of_weights_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(lite0, "PACKAGE", "limner_no_such_package")
    with pytest.raises(MissingExtra, match=r"limner\[metrics\]"):
        lite0.weights_file()


def test_another_file_in_the_package_is_refused(monkeypatch):
    monkeypatch.setattr(lite0, "FILE", replace(lite0.FILE, sha256="0" * 64))
    with pytest.raises(ModelError, match="not 0000"):
        lite0.Lite0()


def test_a_package_without_its_file_is_refused(monkeypatch):
    monkeypatch.setattr(lite0, "FILE", replace(lite0.FILE, name="other.pth"))
    with pytest.raises(ModelError, match="does not hold other.pth"):
        lite0.weights_file()


@pytest.mark.parametrize("lost", ["_fc.bias", "_blocks.3._bn1.running_var", "_conv_head.weight"])
def test_weights_that_lack_a_part_are_refused(lost):
    state = dict(weights.load(lite0.weights_file()).tensors)
    del state[lost]
    with pytest.raises(ModelError, match=lost.split(".")[0]):
        lite0.Network().load(state)


def test_weights_that_are_not_finite_are_refused():
    state = dict(weights.load(lite0.weights_file()).tensors)
    state["_conv_head.weight"] = torch.full_like(state["_conv_head.weight"], torch.nan)
    with pytest.raises(ModelError, match="head are not finite"):
        lite0.Network().load(state)
