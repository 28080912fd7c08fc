"""Features of a network of one's own: the same in any batch, the same after saving, and never under another's name."""

import json
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from limner import durable
from limner.errors import BadCheckpoint, ConfigError, ModelError
from limner.features import selftrained
from limner.features.extractor import Extractor
from limner.features.selftrained import NETWORK, WEIGHTS, PlainNetwork, Plan, SelfTrained

PLAN = Plan(3, 12, 16, seen=(12, 16), layers=((4, 1), (6, 2), (8, 2)), classes=5)


def extractor(plan=PLAN, seed=0):
    torch.manual_seed(seed)
    network = PlainNetwork(plan)
    network.mean.fill_(0.1)
    network.std.fill_(0.7)
    return SelfTrained.of(network)


def images(count=9, size=(12, 16), channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size, channels), np.uint8)


def test_it_is_an_extractor_as_the_contract_says():
    mine = extractor()
    assert isinstance(mine, Extractor)
    assert (mine.dimension, mine.classes, mine.precision) == (8, 5, "fp32")
    assert mine.name == f"Self-{mine.sha256[:8]}" and mine.resize == "squash to 12×16, antialiased bicubic"
    found = mine(images())
    assert found.pooled.shape == (9, 8) and found.pooled.dtype == np.float32
    assert found.logits.shape == (9, 5) and found.logits.dtype == np.float32


def test_the_network_does_what_its_plan_says():
    """Convolution, ReLU, convolution, ReLU …, the mean over pixels, and a linear head."""
    mine, rows = extractor(), images(3)
    network = mine.network
    x = (torch.from_numpy(rows).permute(0, 3, 1, 2).float() / 127.5 - 1 - 0.1) / 0.7
    with torch.no_grad():
        for layer, (_, stride) in zip(network.convolutions, PLAN.layers, strict=True):
            x = nn.functional.conv2d(x, layer.weight, layer.bias, stride, 1).clamp_min(0)
        pooled = x.mean(dim=(2, 3))
        logits = pooled @ network.head.weight.T + network.head.bias
    np.testing.assert_allclose(mine(rows).pooled, pooled, atol=1e-5)
    np.testing.assert_allclose(mine(rows).logits, logits, atol=1e-5)


def test_an_image_has_the_same_features_alone_and_among_many():
    mine, rows = extractor(), images(150)
    together = mine(rows).pooled
    for row in (0, 63, 64, 149):
        np.testing.assert_allclose(mine(rows[row : row + 1]).pooled[0], together[row], atol=1e-6, rtol=0)
    assert np.array_equal(mine(rows[:70]).pooled, together[:70])
    assert mine(rows[:0]).pooled.shape == (0, 8)


def test_saved_and_loaded_it_is_the_same_under_the_same_name(tmp_path):
    mine = extractor()
    selftrained.save(mine, tmp_path / "mine")
    loaded = selftrained.load(tmp_path / "mine")
    assert (loaded.name, loaded.sha256, loaded.resize) == (mine.name, mine.sha256, mine.resize)
    assert np.array_equal(loaded(images()).pooled, mine(images()).pooled)
    assert np.array_equal(loaded(images()).logits, mine(images()).logits)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {NETWORK, WEIGHTS, durable.MANIFEST}


def test_other_weights_have_another_name():
    assert extractor(seed=0).name == extractor(seed=0).name != extractor(seed=1).name
    assert extractor(Plan(3, 12, 16, (12, 16), PLAN.layers)).name != extractor().name


def test_a_network_without_classes_gives_no_logits():
    mine = extractor(Plan(1, 8, 8, seen=(8, 8), layers=((4, 2),)))
    assert mine.classes == 0 and mine(images(2, (8, 8), 1)).logits is None


def test_images_of_another_size_and_colour_are_brought_to_its_own():
    mine = extractor()
    grey = images(2, channels=1)
    assert np.array_equal(mine(grey).pooled, mine(np.repeat(grey, 3, axis=3)).pooled)
    clear = np.concatenate([images(2), np.zeros((2, 12, 16, 1), np.uint8)], axis=3)
    assert np.array_equal(mine(clear).pooled, mine(np.full((2, 12, 16, 3), 255, np.uint8)).pooled)
    flat = np.full((1, 50, 20, 3), 77, np.uint8)
    np.testing.assert_allclose(mine(flat).pooled, mine(np.full((1, 12, 16, 3), 77, np.uint8)).pooled, atol=1e-5)


def test_a_network_for_transparency_sees_it():
    mine = extractor(Plan(4, 8, 8, seen=(8, 8), layers=((4, 1),)))
    rows = images(1, (8, 8), 4)
    clear = rows.copy()
    clear[..., 3] = 0
    assert not np.allclose(mine(rows).pooled, mine(clear).pooled)
    opaque = np.concatenate([rows[..., :3], np.full((1, 8, 8, 1), 255, np.uint8)], axis=3)
    assert np.array_equal(mine(rows[..., :3]).pooled, mine(opaque).pooled)


def test_a_large_image_is_averaged_down_before_the_network_looks():
    mine = extractor(Plan(1, 8, 8, seen=(4, 4), layers=((3, 1),)))
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 255  # each 2×2 block holds two white pixels
    flat = torch.full((1, 1, 4, 4), 0.0)
    with torch.no_grad():
        wanted = mine.network(flat)[0].numpy()
    np.testing.assert_allclose(mine(checks.astype(np.uint8)[None, :, :, None]).pooled, wanted, atol=1e-6)


def test_any_module_may_be_wrapped_but_only_a_plain_network_is_saved(tmp_path):
    class Mean(nn.Module):
        def forward(self, image):
            return image.mean(dim=(2, 3)), None

    mine = SelfTrained(Mean(), (3, 4, 4), dimension=3)
    rows = images(2, (4, 4))
    np.testing.assert_allclose(mine(rows).pooled, rows.mean(axis=(1, 2)) / 127.5 - 1, atol=1e-6)
    with pytest.raises(ConfigError, match="Mean is not one"):
        selftrained.save(mine, tmp_path / "no")


def test_it_can_be_sent_to_another_process():
    mine = pickle.loads(pickle.dumps(extractor()))
    assert mine.name == extractor().name and np.array_equal(mine(images()).pooled, extractor()(images()).pooled)


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 12, 16, 3), np.float32), np.zeros((2, 12, 16, 2), np.uint8), np.zeros((12, 16, 3), np.uint8)]
)
def test_what_is_no_batch_of_images_is_refused(wrong):
    with pytest.raises(ConfigError, match="uint8"):
        extractor()(wrong)


def test_features_that_are_not_finite_are_refused():
    mine = extractor()
    mine.network.convolutions[0].bias.data[0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        mine(images(1))


def test_a_folder_that_holds_none_says_what_is_needed(tmp_path):
    with pytest.raises(ConfigError, match="holds no self-trained features"):
        selftrained.load(tmp_path)


def test_an_altered_folder_is_refused(tmp_path):
    selftrained.save(extractor(), tmp_path / "mine")
    path = tmp_path / "mine" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadCheckpoint, match=WEIGHTS):
        selftrained.load(tmp_path / "mine")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layers": [[4, 1]]}, "does not hold features"),
        ({"layers": []}, "describes no network"),
        ({"width": "wide"}, "does not hold features"),
        ({"height": 0}, "describes no network"),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(tmp_path, change, said):
    selftrained.save(extractor(), tmp_path / "mine")
    files = {name: (tmp_path / "mine" / name).read_bytes() for name in (NETWORK, WEIGHTS)}
    files[NETWORK] = json.dumps({**json.loads(files[NETWORK]), **change}).encode()
    durable.publish_folder(
        tmp_path / "other", {name: lambda data=data: data for name, data in files.items()}, about={"format": 1}
    )
    with pytest.raises(BadCheckpoint, match=said):
        selftrained.load(tmp_path / "other")


def test_a_folder_of_a_newer_format_is_refused(tmp_path):
    durable.publish_folder(tmp_path / "new", {NETWORK: lambda: b"{}"}, about={"format": 99})
    with pytest.raises(BadCheckpoint, match="newer format"):
        selftrained.load(tmp_path / "new")
