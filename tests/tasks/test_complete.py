"""Completing keeps what it is given to the last bit, draws the rest by seed, and never by what lies beside it."""

import pytest
import runs
import torch

from limner.errors import ConfigError, NotAble
from limner.tasks import complete
from limner.types import Condition

PIXELS = ["made", "binary-pixelcnn", "pixelcnn"]
TOKENS = ["token-lm", "masked-tokens", "next-scale"]
NOTHING = Condition()


@pytest.fixture(scope="module")
def built(digits):
    """Name -> a tiny untrained model of the digits, and ten of them."""
    images = runs.batch_of(digits, size=10).image
    return lambda name: (runs.build(name, digits).eval(), images)


@pytest.mark.parametrize("name", PIXELS + TOKENS)
def test_the_upper_rows_stay_and_the_others_are_drawn_by_seed(built, name):
    model, images = built(name)
    rows = images.shape[2] // 2
    made, other = (complete.complete(model, images, rows, NOTHING, seed=seed) for seed in (0, 1))
    assert torch.equal(made[:, :, :rows], images[:, :, :rows])
    assert not torch.equal(made[:, :, rows:], other[:, :, rows:])


@pytest.mark.parametrize("name", ["made", "masked-tokens"])
def test_a_picture_is_completed_alike_alone_and_among_others(built, name):
    model, images = built(name)
    together = complete.complete(model, images, images.shape[2] // 2, NOTHING)
    assert torch.equal(complete.complete(model, images[:1], images.shape[2] // 2, NOTHING)[0], together[0])
    assert torch.equal(complete.complete(model, images[:9], images.shape[2] // 2, NOTHING)[8], together[8])


@pytest.mark.parametrize("name", TOKENS)
def test_only_holes_are_drawn_anew_and_never_by_what_lay_in_them(built, name):
    model, images = built(name)
    holes = torch.zeros(len(images), 1, *images.shape[2:])
    holes[:, :, images.shape[2] // 2 :, 1:5] = 1
    made = complete.redraw(model, images, holes, NOTHING)
    assert torch.equal(made[holes == 0], images[holes == 0]) and not torch.equal(made, images)
    hidden = torch.where(holes > 0, 1.0, images)
    assert torch.equal(complete.redraw(model, hidden, holes, NOTHING), made)
    with pytest.raises(ConfigError, match="do not fit"):
        complete.redraw(model, images, holes[:2], NOTHING)


def test_other_models_are_refused_with_those_that_can(built):
    model, images = built("vae")
    with pytest.raises(NotAble, match="cannot go on from a part of an image.*made"):
        complete.complete(model, images, 4, NOTHING)
    with pytest.raises(NotAble, match="cannot draw parts of an image anew.*token-lm"):
        complete.redraw(model, images, torch.ones(len(images), 1, *images.shape[2:]), NOTHING)
