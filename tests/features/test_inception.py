"""Inception-v3 of FID, with weights that the tests make: its layout, its arithmetic, and when it may be called so."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks import peers_features
from counting_cases import pictures
from safetensors.torch import save_file

from limner import features
from limner.errors import ConfigError, ModelError
from limner.features import inception, weights


@pytest.fixture(scope="module")
def state():
    return peers_features.random_weights()


@pytest.fixture(scope="module")
def path(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def extractor(path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "TILE", 2)  # eight images at 299×299 take seconds
        return features.load(f"inception:{path}", engine="torch")


def test_it_has_as_many_weights_as_the_published_network(state):
    """23,834,568 of torchvision's without its auxiliary head, less 2,049,000 of its last layer, and 1,008 outputs."""
    learned = {name: part for name, part in state.items() if "running" not in name and "num_batches" not in name}
    assert sum(part.numel() for part in learned.values()) == 23_834_568 - 2_049_000 + 1008 * 2049
    assert sum(name.endswith(".conv.weight") for name in state) == 94
    assert 95e6 < 4 * sum(part.numel() for part in state.values()) < 95_628_359  # the file's, less its index


def test_blocks_have_the_sizes_of_the_paper():
    """Szegedy et al. 2015, table 1: 35×35×288, 17×17×768, 8×8×1280 and 8×8×2048; here at a third of the side."""
    network, sizes = inception.Network(), {}
    for name in inception.BLOCKS:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])})
        )
    with torch.inference_mode():
        pooled, logits = network(torch.zeros(1, 3, 107, 107))
    assert pooled.shape == (1, 2048) and logits.shape == (1, 1008)
    assert sizes["Mixed_5b"] == (256, 11, 11) and sizes["Mixed_5d"] == (288, 11, 11)
    assert {sizes[f"Mixed_6{part}"] for part in "abcde"} == {(768, 5, 5)}
    assert sizes["Mixed_7a"] == (1280, 2, 2) and sizes["Mixed_7b"] == sizes["Mixed_7c"] == (2048, 2, 2)


def test_features_are_those_of_the_network_with_its_normalisations(extractor, state):
    images = pictures(1, 48, 48, 3)
    ready = extractor.preparation(images)
    with torch.inference_mode():
        pooled, logits = peers_features.eager(state)(ready)
    found = extractor(images)
    assert found.pooled.std() > 0.01
    assert np.abs(found.pooled - pooled.numpy()).max() < 1e-5 * pooled.abs().max()
    assert np.abs(found.logits - logits.numpy()).max() < 1e-5 * logits.abs().max()


def test_logits_go_without_their_bias(extractor, state):
    found = extractor(pictures(1, 48, 48, 3))
    assert np.allclose(found.logits, found.pooled @ state["fc.weight"].numpy().T, atol=1e-4)


def test_average_pools_do_not_count_padding_and_the_last_block_takes_the_maximum():
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(inception._pool(ones, "average"), ones)
    assert torch.equal(inception._pool(-ones, "maximum"), -ones)
    pools = {
        name: [part for branch in block for part in branch if isinstance(part, str)]
        for name, block in inception.BLOCKS.items()
    }
    assert pools.pop("Mixed_7c") == ["maximum"]
    assert pools.pop("Mixed_6a") == pools.pop("Mixed_7a") == ["halve"]
    assert set(map(tuple, pools.values())) == {("average",)}


def test_features_do_not_depend_on_the_batch(extractor):
    images = pictures(3, 32, 32, 3)
    together, alone = extractor(images), extractor(images[2:])
    assert np.abs(alone.pooled - together.pooled[2:]).max() < 1e-6
    assert np.abs(alone.logits - together.logits[2:]).max() < 1e-5


def test_the_resizes_are_two_spaces(path, extractor):
    clean = features.load(f"inception-clean:{path}")
    assert extractor.resize == "squash to 299×299, bilinear as in TensorFlow 1"
    assert clean.resize == "squash to 299×299, antialiased bicubic"
    images = pictures(1, 600, 600, 3)
    legacy_spread, clean_spread = (part.preparation(images).std() for part in (extractor, clean))
    assert clean_spread < 0.8 * legacy_spread  # noise twice as fine is averaged with antialiasing only


def test_images_reach_the_network_as_in_the_graph_of_2015(extractor):
    """Less 128, over 128: 255 becomes 0.9921875, not 1."""
    white = extractor.preparation(np.full((1, 8, 8, 3), 255, np.uint8))
    black = extractor.preparation(np.zeros((1, 8, 8, 3), np.uint8))
    assert torch.allclose(white, torch.tensor(0.9921875)) and torch.allclose(black, torch.tensor(-1.0))


# --- its name ---------------------------------------------------------------------------------------------------------


def test_other_weights_are_named_by_their_hash(path, extractor):
    digest = weights.sha256_of(path)
    assert extractor.name == f"Inception-{digest[:8]}" and extractor.sha256 == digest


def test_only_the_published_weights_are_called_inception(path, monkeypatch):
    monkeypatch.setattr(inception, "FILE", replace(inception.FILE, sha256=weights.sha256_of(path)))
    assert features.load(f"inception:{path}").name == "Inception"


def test_the_published_weights_are_pinned():
    """The first eight digits are in the name that both projects gave the file."""
    assert inception.FILE.sha256.startswith("6726825d") and len(inception.FILE.sha256) == 64
    assert all("6726825d" in url and url.startswith("https://github.com/") for url in inception.FILE.urls)


def test_weights_may_come_as_safetensors(state, tmp_path, extractor):
    save_file(state, tmp_path / "inception.safetensors")
    network = inception.Inception(tmp_path / "inception.safetensors")._network
    assert torch.equal(network.Mixed_7c.branch_pool.weight, extractor._network.Mixed_7c.branch_pool.weight)


@pytest.mark.parametrize("lost", ["fc.bias", "Mixed_6c.branch7x7_2.bn.running_mean", "Conv2d_1a_3x3.conv.weight"])
def test_weights_that_lack_a_part_are_refused(state, lost):
    partial = {name: part for name, part in state.items() if name != lost}
    with pytest.raises(ModelError, match=lost.split(".")[0]):
        inception.Network().load(partial)


def test_weights_of_another_network_are_refused(state):
    other = state | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    with pytest.raises(ModelError, match=r"\(1000, 2048\); \(1008, 2048\) is needed"):
        inception.Network().load(other)


def test_offline_the_message_says_where_to_put_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv("LIMNER_OFFLINE", "1")
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"put it at {tmp_path}/cache/weights/weights-inception-2015-12-05"):
        features.load("inception")


def test_an_unknown_resize_is_refused(path):
    with pytest.raises(ConfigError, match="did you mean clean"):
        inception.Inception(path, resize="clear")
