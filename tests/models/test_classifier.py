"""The classifier keeps the promises of a model, and learns from what is known alone."""

import math
from dataclasses import replace

import numpy as np
import properties
import pytest
import torch

from limner import bundle
from limner.errors import ConfigError
from limner.model import Step
from limner.models.classifier import (
    Classifier,
    ClassifierConfig,
    layout,
    mirrored,
    question_loss,
    questions,
    seen_size,
    shifted,
)
from limner.rng import StepRng
from limner.types import Attribute, Batch, Condition, DataSpec

NAME = Classifier.name
ROWS = 8
ATTRIBUTES = (
    Attribute("colour", "categorical", ("red", "green", "blue")),
    Attribute("smile", "binary", ("no", "yes")),
    Attribute("things", "multilabel", ("hat", "beard")),
    Attribute("size", "continuous", mean=3.0, std=2.0),
)
DATA = DataSpec(3, 8, 12, classes=("cat", "dog"), attributes=ATTRIBUTES)


@pytest.fixture(params=["digits", "shapes"])
def dataset(request):
    """Grey digits with classes; coloured shapes with classes and attributes."""
    return request.getfixturevalue(request.param)


def step(start=0, stop=ROWS):
    return Step(0, 0, StepRng(0, 0, start=start, stop=stop, total=ROWS))


def build(data=DATA, **config):
    torch.manual_seed(0)
    return Classifier(ClassifierConfig(**{"width": 2, **config}), data)


def images(data=DATA, rows=ROWS):
    return torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def condition(rows=ROWS, known=True):
    """Everything known of every image, or nothing of any."""
    label = torch.arange(rows) % 2 if known else torch.full((rows,), -1)
    colour = torch.eye(3)[torch.arange(rows) % 3]
    signs = torch.tensor([1.0, -1.0]).repeat(rows // 2)[:, None]
    size = torch.linspace(-1, 1, rows)[:, None]
    encoded = torch.cat([colour, signs, signs, -signs, size], dim=1) * known
    return Condition(label, encoded, torch.full(encoded.shape, known))


def loss(model, image, asked, **where):
    return next(model.losses(Batch(image, asked), step(**where)))


# --- the promises of every model --------------------------------------------------------------------------------------


def test_same_seed_same_bits(dataset):
    properties.same_seed_same_bits(NAME, dataset)


def test_a_resumed_run_is_one_that_never_stopped(dataset, tmp_path):
    properties.resumes_as_never_stopped(NAME, dataset, tmp_path)


def test_its_one_phase_owns_everything_and_leaves_nothing_behind(dataset):
    properties.phases_own_everything(NAME, dataset)
    properties.phases_keep_to_their_own(NAME, dataset)
    properties.phases_leave_no_stray_gradients(NAME, dataset)


def test_what_it_suggests_is_what_the_loop_reads(digits):
    properties.suggestions_are_read(NAME, digits)


def test_it_learns_one_batch_by_heart(dataset):
    properties.learns_one_batch(NAME, dataset)


def test_saved_and_loaded_it_says_the_same(dataset, tmp_path):
    model = properties.trained(NAME, dataset)
    bundle.save(bundle.Bundle(model, {"version": "test"}, properties.bank(dataset), ""), tmp_path / "model")
    loaded = bundle.load(tmp_path / "model").model
    image = images(dataset.spec)
    with torch.no_grad():
        assert torch.equal(model(image)[1], loaded(image)[1])


def test_a_misspelt_setting_is_refused():
    properties.refuses_unknown_settings(NAME)


# --- what it learns from ----------------------------------------------------------------------------------------------


def test_a_network_that_knows_nothing_has_the_loss_of_guessing():
    """Closed forms: ln of the number of choices, ln 2 for each yes or no, the mean square of a standardised value."""
    model = build().eval()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    got = loss(model, images(), condition())
    square = float(torch.linspace(-1, 1, ROWS).square().mean())
    wanted = [math.log(2), math.log(3), math.log(2), math.log(2), square]
    assert [float(term) for term in got.terms.values()] == pytest.approx(wanted, rel=1e-5)
    assert list(got.terms) == ["the class", "colour", "smile", "things", "size"]
    assert float(got.value.detach()) == pytest.approx(sum(wanted), rel=1e-5)


def test_what_is_unknown_teaches_nothing():
    model = build()
    got = loss(model, images(), condition(known=False))
    got.value.backward()
    assert float(got.value.detach()) == 0
    assert all(float(parameter.grad.abs().sum()) == 0 for parameter in model.parameters())


def test_one_unknown_value_of_one_image_leaves_the_others_as_they_are():
    model, whole, part = build().eval(), condition(), condition()
    part.known[0, -1] = False
    part.attributes[0, -1] = 1e6  # whatever stands there
    before, after = loss(model, images(), whole).terms, loss(model, images(), part).terms
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["size"]
    assert after["size"] < before["size"]


@pytest.mark.parametrize("asked", [Condition(), Condition(label=torch.arange(ROWS) % 2)])
def test_a_batch_may_lack_parts_of_the_condition(asked):
    assert torch.isfinite(loss(build(), images(), asked).value)


def test_a_batch_in_parts_has_the_loss_of_the_whole():
    model, image, asked = build().eval(), images(), condition()
    parts = [loss(model, image[s : s + 4], asked.rows(s, s + 4), start=s, stop=s + 4).value for s in (0, 4)]
    torch.testing.assert_close(sum(parts) / 2, loss(model, image, asked).value)


def test_it_is_shown_changed_images_in_training_alone():
    image, asked = images(), condition()
    assert loss(build().eval(), image, asked).value == loss(build(shift=0.0).eval(), image, asked).value
    assert loss(build().train(), image, asked).value != loss(build(shift=0.0).train(), image, asked).value


def test_data_with_nothing_to_recognise_is_refused():
    with pytest.raises(ConfigError, match="nothing to recognise"):
        build(replace(DATA, classes=(), attributes=()))


def test_one_class_alone_is_known_from_the_start():
    model = build(replace(DATA, classes=("cat",), attributes=()))
    assert float(loss(model, images(), Condition(label=torch.zeros(ROWS, dtype=torch.int64))).value.detach()) == 0


@pytest.mark.parametrize("setting", [{"width": 0}, {"shift": 1.0}, {"shift": -0.1}])
def test_settings_that_cannot_be_are_refused_by_name(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        ClassifierConfig(**setting)


def test_the_outputs_hold_every_question_side_by_side():
    places = [place for _, place in questions(DATA)]
    assert [place.stop - place.start for place in places] == [2, 3, 1, 2, 1]
    assert [place.start for place in places[1:]] == [place.stop for place in places[:-1]]
    assert build().head.out_features == places[-1].stop
    with torch.no_grad():
        for (question, place), loss_of in zip(questions(DATA), [2, 3, 1, 2, 1], strict=True):
            row = torch.zeros(4, loss_of)
            assert question_loss(question, row, row).shape == (4,), place


# --- its parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (8, 8), (28, 28), (32, 48), (64, 64), (200, 3), (300, 500)])
def test_images_of_any_size_are_summed_up_in_one_row(size):
    model = build(DataSpec(1, *size, classes=("a", "b")))
    features, outputs = model(torch.zeros(2, 1, *size))
    assert features.shape == (2, model.trunk.dimension) == (2, 16) and outputs.shape == (2, 2)
    assert max(model.trunk.size) <= 64


@pytest.mark.parametrize(("side", "last"), [(4, 4), (8, 4), (28, 4), (32, 4), (64, 4)])
def test_an_image_is_halved_down_to_a_few_pixels(side, last):
    for _, stride in layout(side, side, 16):
        side = -(-side // stride)
    assert side == last


def test_long_images_keep_their_proportion():
    assert seen_size(300, 150) == (64, 32) and seen_size(28, 20) == (28, 20) and seen_size(1000, 2) == (64, 1)


def test_features_do_not_change_with_the_brightness_and_contrast_of_the_whole_set():
    """Inputs are standardised by the training images."""
    image = images()
    first, second = build(), build()
    first.prepare(image)
    second.prepare(image * 0.25 + 0.5)
    with torch.no_grad():
        torch.testing.assert_close(first.eval()(image)[0], second.eval()(image * 0.25 + 0.5)[0], rtol=1e-3, atol=1e-4)


def test_a_flat_channel_is_no_division_by_zero():
    model = build()
    model.prepare(torch.zeros(4, *DATA.shape))
    assert torch.isfinite(model(images())[0]).all()


def test_shifts_are_whole_pixels_and_repeat_the_border():
    ramp = torch.arange(16.0).view(1, 1, 1, 16).expand(32, 1, 8, 16)
    moved = shifted(ramp, 0.25, StepRng(0, 0, start=0, stop=32, total=32))
    by = moved[:, 0, 0, 8] - 8
    assert set(by.tolist()) <= set(range(-4, 5)) and len(set(by.tolist())) > 4
    for row, offset in zip(moved, by.tolist(), strict=True):
        assert torch.equal(row[0, 0], (torch.arange(16.0) + offset).clamp(0, 15))


def test_shifts_go_both_ways_of_both_sides():
    draws = shifted(torch.eye(16).expand(64, 1, 16, 16), 0.2, StepRng(0, 1, start=0, stop=64, total=64))
    assert len({tuple(np.argwhere(image[0].numpy()).flatten().tolist()) for image in draws}) > 20


def test_about_half_of_the_images_are_mirrored():
    image = torch.arange(6.0).view(1, 1, 1, 6).expand(400, 1, 1, 6)
    backwards = mirrored(image, StepRng(0, 0, start=0, stop=400, total=400))[:, 0, 0, 0] == 5
    assert 150 < int(backwards.sum()) < 250
