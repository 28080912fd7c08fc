"""Detectors of Hugging Face's layout: what they score, what they are asked, and what cannot be loaded."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from copying import image_set
from torch import nn

from limner.errors import ConfigError, ModelError
from limner.evaluation import detectors
from limner.evaluation.detectors import Detector, asked_for, names_in, recognised

NAMES = ("cat", "traffic light", "bus")


class Fixed(nn.Module):
    """A network whose logits are those of the brightest place of each channel: red is a cat, green a light, blue a bus.

    spare   an additional logit that stands for nothing
    """

    def __init__(self, spare):
        super().__init__()
        self.spare = nn.Parameter(torch.tensor(0.0)) if spare else None

    def forward(self, pixel_values):
        logits = pixel_values.flatten(2).transpose(1, 2)[:, :6]  # (B, 6, 3): the first six pixels
        if self.spare is not None:
            logits = torch.cat([logits, self.spare.expand(*logits.shape[:2], 1)], dim=2)
        return SimpleNamespace(logits=logits)


def prepare(images):
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 25.5 - 5  # -5 … 5


def detector(spare=False):
    return Detector(Fixed(spare), NAMES, prepare, name="fixed", words="none")


def images(count=9, channels=3):
    return np.random.default_rng(0).integers(0, 256, (count, 4, 4, channels), np.uint8)


# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_score_is_that_of_the_surest_place():
    rows = images()
    first = rows.reshape(9, 16, 3)[:, :6] / 25.5 - 5  # (9, 6, 3)
    np.testing.assert_allclose(detector()(rows), (1 / (1 + np.exp(-first))).max(axis=1), atol=1e-6)


def test_with_a_logit_for_nothing_all_names_compete():
    rows = images()
    first = np.concatenate([rows.reshape(9, 16, 3)[:, :6] / 25.5 - 5, np.zeros((9, 6, 1))], axis=2)
    shares = np.exp(first) / np.exp(first).sum(axis=2, keepdims=True)
    np.testing.assert_allclose(detector(spare=True)(rows), shares[:, :, :3].max(axis=1), atol=1e-6)


def test_a_picture_is_scored_the_same_alone_and_among_others():
    judge, rows = detector(), images(11)
    together = judge(rows)
    assert np.array_equal(judge(rows[5:6])[0], together[5]) and judge(rows[:0]).shape == (0, 3)


def test_grey_pictures_and_transparent_ones_are_shown_in_colour_on_white():
    judge, grey = detector(), images(3, 1)
    assert np.array_equal(judge(grey), judge(np.repeat(grey, 3, axis=3)))
    clear = np.concatenate([images(2), np.zeros((2, 4, 4, 1), np.uint8)], axis=3)
    assert np.array_equal(judge(clear), judge(np.full((2, 4, 4, 3), 255, np.uint8)))
    with pytest.raises(ConfigError, match="uint8"):
        judge(np.zeros((2, 4, 4, 3)))


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cat", [0]),
        ("A Cat on a bus", [0, 2]),
        ("two red Traffic-Lights", [1]),
        ("traffic_light", [1]),
        ("cats", [0]),
        ("catfish", []),
        ("light traffic", []),
        ("traffic", []),
        ("", []),
    ],
)
def test_a_text_speaks_of_a_thing_in_whole_words(text, found):
    assert names_in(text, NAMES) == found


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("bus", "buses"),
        ("bench", "benches"),
        ("knife", "knives"),
        ("wine glass", "wine glasses"),
        ("house", "houses"),
        ("cookie", "cookies"),
        ("giraffe", "giraffes"),
        ("potato", "potatoes"),
        ("kite", "kites"),
    ],
)
def test_one_and_many_are_the_same_thing(one, many):
    assert names_in(f"two {many}", [one]) == names_in(f"a {one}", [many]) == [0]
    assert names_in(many, ["kit", "sky", "car"]) == []


def test_a_name_without_letters_is_never_spoken_of():
    assert names_in("anything - at all", ("", "-", "N/A")) == []


def test_each_text_asks_for_its_own_things():
    assert asked_for(["cat", "bus", "cat", "dog"], NAMES).tolist() == [
        [True, False, False],
        [False, False, True],
        [True, False, False],
        [False, False, False],
    ]


def pure(labels):
    """Pictures of the pure colour of each label, black where it is -1."""
    rows = np.zeros((len(labels), 4, 4, 3), np.uint8)
    for row, label in enumerate(labels):
        if label >= 0:
            rows[row, :, :, label] = 255
    return rows


def test_what_was_asked_for_and_shown_is_recognised():
    labels = [0, 1, 2, -1] * 10
    texts = [[*NAMES, ""][label] for label in labels]
    found = recognised(detector(), image_set("made", pure(labels)), texts, limit=100, seed=0)
    assert found.pictures == 30 and found.average_precision.value == 1 and min(found.recalls) == 1


def test_what_was_not_shown_is_not_recognised():
    labels = [0, 1, 2] * 10
    texts = [NAMES[(label + 1) % 3] for label in labels]
    found = recognised(detector(), image_set("made", pure(labels)), texts, limit=100, seed=0)
    assert max(found.recalls) == 0 and found.average_precision.value < found.chance + 0.01


def test_things_that_nobody_asked_for_do_not_count_and_the_limit_holds():
    found = recognised(detector(), image_set("made", pure([0] * 20)), ["cat"] * 20, limit=7, seed=0)
    assert found.pictures == 7 and len(found.per_name) == 1 and found.chance == 1


def test_nothing_is_said_of_what_the_detector_does_not_know():
    assert recognised(detector(), image_set("made", pure([0])), ["a unicorn"], limit=9, seed=0) is None


def test_each_image_needs_its_text():
    with pytest.raises(ConfigError, match="1 captions do not fit 2 images"):
        recognised(detector(), image_set("made", pure([0, 1])), ["cat"], limit=9, seed=0)


# --- loading ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A detector of random weights, as its users save theirs."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=5,
        id2label=dict(enumerate(NAMES)),
        label2id={name: place for place, name in enumerate(NAMES)},
    )
    path = tmp_path_factory.mktemp("detector") / "tiny-yolos"
    with detectors._quiet():
        transformers.YolosForObjectDetection(config).save_pretrained(path)
    size = {"shortest_edge": 32, "longest_edge": 64}
    told = {
        "image_processor_type": "YolosImageProcessor",
        "size": size,
        "image_mean": [0.5] * 3,
        "image_std": [0.2] * 3,
    }
    (path / "preprocessor_config.json").write_text(json.dumps(told))
    return path


def test_a_detector_is_loaded_from_a_folder_and_says_what_the_network_says(folder):
    from transformers import AutoImageProcessor, YolosForObjectDetection

    judge, rows = detectors.load(folder), images(6)
    assert judge.names == NAMES and judge.name == "tiny-yolos" and "shortest_edge" in judge.words
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.inference_mode(), detectors._quiet():
        network = YolosForObjectDetection.from_pretrained(folder).eval()
        pixels = processor(images=list(rows), input_data_format="channels_last", return_tensors="pt")["pixel_values"]
        wanted = network(pixel_values=pixels).logits.softmax(dim=2)[:, :, :-1].amax(dim=1)
    np.testing.assert_allclose(judge(rows), wanted, atol=1e-6)
    np.testing.assert_allclose(judge(rows[3:4])[0], judge(rows)[3], atol=1e-6)
    assert judge.sha256 == detectors.load(str(folder)).sha256


def test_what_is_no_detector_is_refused_with_the_way_out(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(ModelError, match="cannot be loaded.*config.json, model.safetensors"):
        detectors.load(tmp_path)


def test_weights_that_are_a_pickle_are_not_read(folder, tmp_path):
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="cannot be loaded"):
        detectors.load(tmp_path)


def test_a_network_that_does_not_say_how_it_wants_its_pictures_is_refused(folder, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelError, match="preprocessor_config.json"):
        detectors.load(tmp_path)


def test_without_the_package_the_extra_is_named(monkeypatch):
    from limner.errors import MissingExtra

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"limner\[transformers\]"):
        detectors.load("anything")
