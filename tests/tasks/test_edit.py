"""Editing, filling in and composing: against worlds whose exact denoiser is known, and with small models."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from exact_worlds import MEANS, STD, Coarse, Independent, Plain
from properties import trained
from runs import batch_of, build

from limner.errors import ConfigError, NotAble
from limner.rng import ImageRng
from limner.tasks import edit, generate
from limner.types import Condition

FINE = {"steps": 200, "solver": "ddim", "schedule": "logsnr"}
OPEN = Condition()


def shades(count: int = 3) -> torch.Tensor:
    """(count, 1, 8, 8) pictures of independent pixels."""
    return STD * ImageRng(7, range(count)).normal(1, 8, 8)


def options(model, **values):
    return generate.options_of(model, values)


def hole(count: int = 3, *, rows: slice = slice(2, 5)) -> torch.Tensor:
    """(count, 1, 8, 8) masks: some rows are the hole."""
    masks = torch.zeros(count, 1, 8, 8)
    masks[:, :, rows] = 1
    return masks


@pytest.fixture(scope="module", params=["flow-mlp", "latent-flow"])
def small(request, digits):
    """A model of pixels, and one of latents, after a few steps."""
    return trained(request.param, digits, 3)


@pytest.fixture(scope="module")
def given(digits):
    """11 digits."""
    return batch_of(digits, size=16).image[:11]


# --- variations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["edm", "linear", "cosine"])
def test_a_variation_is_the_image_blurred_by_noise_and_shrunk_to_the_world(path):
    """The flow of a Gaussian world is linear: from noise level s, x / a goes to x / a times std / sqrt(std^2 + s^2)."""
    world, images = Independent(path), shades()
    how = options(world, **FINE | {"steps": 400, "solver": "heun"})
    sigma = _level(world, how, 0.5)
    noise = ImageRng(5, range(3)).normal(1, 8, 8)
    expected = (images + sigma * noise) * STD / (STD**2 + sigma**2) ** 0.5
    made = edit.variations(world, images, OPEN, strength=0.5, seed=5, options=how)
    torch.testing.assert_close(made, expected, atol=3e-3, rtol=0)


def _level(world, how, strength: float) -> float:
    """The noise level at which a variation begins."""
    from limner.diffusion import paths

    times = paths.times(world.path, how.steps, how.schedule)
    return float(world.path.sigma(times[how.steps - round(strength * how.steps)][None]))


def test_the_weaker_the_nearer():
    world, images = Independent(), shades()
    how = options(world, steps=1000, solver="euler")
    far = [
        float((edit.variations(world, images, OPEN, strength=one, options=how) - images).abs().max())
        for one in (0.001, 0.1, 0.3, 0.6, 1.0)
    ]
    assert far == sorted(far) and far[0] < 0.01 and far[-1] > 0.3


@pytest.mark.parametrize("solver", ["heun", "dpm", "ancestral", "rk45"])
def test_full_strength_is_sampling(small, given, digits, solver):
    how = options(small, steps=3, solver=solver, **({"tolerance": 0.1} if solver == "rk45" else {}))
    condition = edit.described(small, len(given), label="3")
    made = edit.variations(small, given, condition, strength=1, seed=4, options=how)
    assert torch.equal(made, generate.generate(small, range(11), seed=4, bank=OPEN, label="3", options=how))


def test_an_edit_obeys_what_is_asked_for():
    world = Independent()
    light = edit.variations(world, shades(), edit.described(world, 3, label="light"), strength=1)
    assert float(light.mean()) == pytest.approx(MEANS[1], abs=0.05)


@pytest.mark.parametrize("task", ["variations", "inpaint"])
def test_what_is_made_of_an_image_does_not_depend_on_the_others(small, given, task):
    how = options(small, steps=2)
    rest = {"strength": 0.5} if task == "variations" else {}

    def made(count):
        masks = [hole(count)] if task == "inpaint" else []
        label = Condition(torch.arange(count) % 10)
        return getattr(edit, task)(small, given[:count], *masks, label, options=how, **rest)

    assert torch.equal(made(11)[:3], made(3)) and torch.equal(made(9)[8:], made(11)[8:9])


def test_seeds_and_places_make_different_variations(small, given):
    how = options(small, steps=2)
    same = given[:1].expand(3, -1, -1, -1)
    made = [edit.variations(small, same, OPEN, seed=seed, options=how) for seed in (1, 2)]
    assert len(torch.unique(torch.cat(made).flatten(1), dim=0)) == 6


# --- filling in -----------------------------------------------------------------------------------------------------


def test_what_is_known_stays_to_the_last_bit_and_the_hole_is_filled(small, given):
    made = edit.inpaint(small, given, hole(11), OPEN, options=options(small, steps=2))
    known = hole(11).expand_as(given) == 0
    assert torch.equal(made[known], given[known])
    assert float((made[~known] - given[~known]).abs().max()) > 0.1


def test_what_lay_in_the_hole_is_not_looked_at(small, given):
    how = options(small, steps=2)
    other = torch.where(hole(11) > 0, -given, given)
    made = [edit.inpaint(small, images, hole(11), OPEN, options=how) for images in (given, other)]
    assert torch.equal(*made)


def test_pixels_that_know_nothing_of_each_other_are_filled_as_sampling_would():
    world, how = Independent(), options(Independent(), **FINE)
    made = edit.inpaint(world, shades(), hole(), OPEN, seed=2, options=how)
    free = world.sample(ImageRng(2, range(3)), OPEN, how)
    torch.testing.assert_close(made[:, :, 2:5], free[:, :, 2:5])


def test_a_hole_in_a_picture_of_one_shade_gets_that_shade():
    world = Plain()
    images = torch.tensor([-0.3, 0.1, 0.4]).view(3, 1, 1, 1).expand(3, 1, 8, 8).contiguous()
    made = edit.inpaint(world, images, hole(rows=slice(3, 4)), OPEN, options=options(world, **FINE))
    torch.testing.assert_close(made, images, atol=0.02, rtol=0)


def test_a_cell_that_a_hole_touches_is_filled_anew():
    """One pixel of 16 is the hole: the latent cell would otherwise keep what the blanked picture says."""
    world, how = Coarse(), options(Coarse(), **FINE)
    masks = torch.zeros(3, 1, 8, 8)
    masks[:, :, 5, 6] = 1
    made = edit.inpaint(world, shades(), masks, OPEN, seed=2, options=how)
    free = world.sample(ImageRng(2, range(3)), OPEN, how)
    torch.testing.assert_close(made[:, :, 5, 6], free[:, :, 5, 6])
    known = masks == 0
    assert torch.equal(made[known], shades()[known])


# --- several descriptions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("weights", "mean"), [((1.0, 1.0), 0.0), ((1.0, 0.5), -0.25), ((0.0, 1.5), 0.75)])
def test_composed_classes_have_the_weighted_sum_of_their_means(weights, mean):
    """Classes that differ from the base by their mean alone: the sum of their scores is that of another such class."""
    world, how = Independent(), options(Independent(), **FINE)
    told = [edit.described(world, 1, label=label) for label in ("dark", "light")]
    made = edit.compose(world, told, range(3), weights=weights, seed=2, options=how)
    free = world.sample(ImageRng(2, range(3)), OPEN, how)
    torch.testing.assert_close(made, free + mean, atol=5e-3, rtol=0)


def test_each_description_has_its_region():
    world, how = Independent(), options(Independent(), **FINE)
    told = [edit.described(world, 1, label=label) for label in ("dark", "light")]
    left = torch.zeros(8, 8)
    left[:, :3] = 1
    made = edit.compose(world, told, range(3), weights=[left, 1 - left], seed=2, options=how)
    free = world.sample(ImageRng(2, range(3)), OPEN, how)
    torch.testing.assert_close(made, free + torch.where(left > 0, *MEANS), atol=5e-3, rtol=0)


def test_one_description_of_weight_1_is_sampling(small):
    how = options(small, steps=2)
    made = edit.compose(small, [edit.described(small, 1, label="3")], [9, 0], seed=4, options=how)
    assert torch.equal(made, generate.generate(small, [9, 0], seed=4, bank=OPEN, label="3", options=how))
    twice = [edit.described(small, 1, label="3")] * 2
    halves = edit.compose(small, twice, [9, 0], weights=[0.5, 0.5], seed=4, options=how)
    torch.testing.assert_close(halves, made, atol=1e-4, rtol=0)


# --- guided by a weaker model ---------------------------------------------------------------------------------------


def guided(world, guide, **values):
    how = options(world, **FINE | values)
    parts = generate.generate_tiles(world, range(8), seed=2, bank=OPEN, label="light", options=how, guide=guide)
    return torch.cat([images for _, images in parts])


def test_a_guide_pushes_away_from_what_it_would_have_made():
    """The guide's class lies at 0.2 and the model's at 0.5, so a push of 3 is to 0.2 + 3 (0.5 - 0.2) = 1.1."""
    world = Independent()
    plain = generate.generate(world, range(8), seed=2, bank=OPEN, label="light", options=options(world, **FINE))
    pushed = guided(world, Independent(means=(0.0, 0.2)), guidance=3.0)
    torch.testing.assert_close(pushed, plain + 0.6, atol=5e-3, rtol=0)


def test_a_model_guided_by_itself_is_itself(small):
    how = options(small, steps=2, guidance=3.0)
    parts = generate.generate_tiles(small, range(8), seed=2, bank=OPEN, label="3", options=how, guide=small)
    alone = generate.generate(small, range(8), seed=2, bank=OPEN, label="3", options=replace(how, guidance=1.0))
    torch.testing.assert_close(next(parts)[1], alone, atol=1e-4, rtol=0)


def test_a_guide_that_cannot_be_one_is_refused(digits, shapes):
    model = build("flow-mlp", digits)
    push = options(model, guidance=2.0)
    for guide, says in {
        build("flow-mlp", shapes): "other shape",
        build("latent-flow", digits): "another space",
    }.items():
        with pytest.raises(ConfigError, match=says):
            next(generate.generate_tiles(model, [0], seed=0, bank=OPEN, options=push, guide=guide))
    with pytest.raises(ConfigError, match="use for example guidance=2"):
        next(generate.generate_tiles(model, [0], seed=0, bank=OPEN, guide=model))
    with pytest.raises(NotAble, match="'vae' cannot edit images or guide"):
        next(generate.generate_tiles(model, [0], seed=0, bank=OPEN, guide=build("vae", digits)))


# --- what cannot be done --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"), [("vae", "cannot edit images or guide another; .* can: flow, edm"), ("shortcut", "jumps")]
)
def test_a_model_that_cannot_edit_is_refused(name, says, digits, given):
    with pytest.raises(NotAble, match=says):
        edit.variations(build(name, digits), given, OPEN)


@pytest.mark.parametrize("strength", [0, -0.1, 1.5, float("nan")])
def test_a_strength_beyond_its_range_is_refused(strength):
    with pytest.raises(ConfigError, match="forgets it"):
        edit.variations(Independent(), shades(), OPEN, strength=strength)


@pytest.mark.parametrize(
    ("masks", "says"), [(hole(2), "of their size for each"), (hole() * 0.5, "other numbers"), (hole()[..., :4], "size")]
)
def test_masks_that_do_not_fit_are_refused(masks, says):
    with pytest.raises(ConfigError, match=says):
        edit.inpaint(Independent(), shades(), masks, OPEN)


@pytest.mark.parametrize(("weights", "says"), [([1.0], "1 weights for 2"), ([1.0, torch.ones(4, 4)], "region")])
def test_weights_that_do_not_fit_are_refused(weights, says):
    world = Independent()
    told = [edit.described(world, 1, label=label) for label in ("dark", "light")]
    with pytest.raises(ConfigError, match=says):
        edit.compose(world, told, [0], weights=weights)


def test_what_a_model_never_heard_of_cannot_be_asked_for(digits):
    with pytest.raises(ConfigError, match="reads no text"):
        edit.described(build("flow-mlp", digits), 1, text="a seven")
    with pytest.raises(ConfigError, match="conditional=none"):
        edit.described(build("flow-mlp", digits, conditional="none"), 1, label="7")


# --- harmonising ----------------------------------------------------------------------------------------------------


def test_a_pasted_part_is_drawn_to_fit_and_the_rest_stays_to_the_bit():
    """In a world of plain pictures a paste of another shade takes the shade around it."""
    world = Plain("edm")
    images = torch.full((2, 1, 8, 8), 0.3)
    images[:, :, 2:5] = -0.3
    how = options(world, **FINE)
    made = edit.harmonised(world, images, hole(2), OPEN, strength=0.9, options=how)
    assert torch.equal(made[hole(2) == 0], images[hole(2) == 0])
    assert (made[:, :, 2:5] - 0.3).abs().max() < (images[:, :, 2:5] - 0.3).abs().max() / 2
    free = Independent("edm")  # where nothing has to fit, little is changed by a little
    little, much = (edit.harmonised(free, images, hole(2), OPEN, strength=share, options=how) for share in (0.1, 0.9))
    assert (little - images).square().mean() < 0.2 * (much - images).square().mean()
    with pytest.raises(ConfigError, match="strength=0"):
        edit.harmonised(world, images, hole(2), OPEN, strength=0)
