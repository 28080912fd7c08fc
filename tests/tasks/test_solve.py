"""Restoring without training, and canvases: against worlds whose exact denoiser is known."""

from __future__ import annotations

import pytest
import torch
from exact_worlds import STD, Independent, Plain
from properties import trained

from limner.diffusion.restoring import blurring, graying, restoring, shrinking
from limner.diffusion.windows import places, windowed
from limner.errors import ConfigError, NotAble
from limner.rng import ImageRng
from limner.tasks import generate, solve
from limner.types import Condition

FINE = {"steps": 100, "solver": "ddim", "schedule": "logsnr"}


def shades(count=3, channels=1):
    return STD * ImageRng(7, range(count)).normal(channels, 8, 8)


@pytest.mark.parametrize(
    ("degradation", "channels"), [(shrinking(2), 1), (shrinking(4), 3), (graying(), 3), (blurring(0.8, 8, 8), 1)]
)
def test_the_way_back_undoes_nothing_that_is_known(degradation, channels):
    """A A⁺ y = y for every y that can be, and putting right is a projection."""
    image = shades(2, channels)
    known = degradation.bad(image)
    torch.testing.assert_close(degradation.bad(degradation.back(known)), known, atol=1e-5, rtol=0)
    put = degradation.put_right(shades(2, channels).flip(0), known)
    torch.testing.assert_close(degradation.bad(put), known, atol=1e-5, rtol=0)
    torch.testing.assert_close(degradation.put_right(put, known), put, atol=1e-5, rtol=0)


def test_a_blur_keeps_what_is_flat_and_has_its_deviation():
    blur = blurring(1.5, 33, 32)
    torch.testing.assert_close(blur.bad(torch.ones(1, 1, 33, 32)), torch.ones(1, 1, 33, 32))
    point = torch.zeros(1, 1, 33, 32)
    point[0, 0, 16, 16] = 1
    spread = blur.bad(point)[0, 0].sum(1)
    assert float((spread * (torch.arange(33) - 16) ** 2).sum()) ** 0.5 == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("kind", ["upscale:2", "upscale:4", "deblur:0.8"])
@pytest.mark.parametrize("path", ["edm", "linear"])
def test_what_is_made_agrees_with_its_source(kind, path):
    world = Independent(path)
    degradation, _ = solve.degradation_of(world, kind)
    known = degradation.bad(shades())
    made = solve.solve(world, known, kind, Condition(), options=generate.options_of(world, FINE))
    assert (degradation.bad(made) - known).abs().max() <= 1e-4


def test_where_pixels_are_one_shade_the_whole_picture_is_known():
    """In a world of plain pictures a single coarse pixel says all; its restoration has a closed form."""
    world = Plain("edm")
    shade = torch.tensor([0.2, -0.3, 0.05]).view(3, 1, 1, 1)
    made = solve.solve(
        world, shade.expand(3, 1, 4, 4), "upscale:2", Condition(), options=generate.options_of(world, FINE)
    )
    torch.testing.assert_close(made, shade.expand(3, 1, 8, 8).clone(), atol=0.02, rtol=0)


def test_what_cannot_be_seen_has_the_spread_of_the_world():
    """Within each square of two by two pixels the mean is known and the rest is drawn: of variance 3/4."""
    world = Independent("edm")
    known = torch.zeros(400, 1, 4, 4)
    made = solve.solve(world, known, "upscale:2", Condition(), options=generate.options_of(world, FINE))
    assert float(made.std()) == pytest.approx(STD * 0.75**0.5, rel=0.03)


def test_a_picture_is_the_same_alone_and_with_others_and_seeds_differ():
    world = Independent("linear")
    known = shrinking(2).bad(shades(5))
    options = generate.options_of(world, {"steps": 6})
    all_five = solve.solve(world, known, "upscale:2", Condition(), seed=3, options=options)
    assert torch.equal(all_five[:2], solve.solve(world, known[:2], "upscale:2", Condition(), seed=3, options=options))
    assert not torch.equal(all_five, solve.solve(world, known, "upscale:2", Condition(), seed=4, options=options))


def test_a_wrapper_of_nothing_known_is_the_denoiser():
    see = Independent("edm").denoiser(Condition(), None, 2)
    x, sigma = shades(2), torch.full((2,), 0.7)
    blind = restoring(see, torch.zeros(2, 1, 8, 8), blurring(1000.0, 8, 8))  # nothing but the mean is left of a picture
    mean = see(x, sigma).mean((2, 3), keepdim=True)
    torch.testing.assert_close(blind(x, sigma), see(x, sigma) - mean)


@pytest.mark.parametrize("wrap", [False, True])
def test_windows_cover_a_side_and_agree_with_a_pixelwise_world(wrap):
    """Where every pixel stands for itself, windows change nothing."""
    tops, lefts = places(20, 8, 4, wrap=wrap), places(12, 8, 4, wrap=wrap)
    covered = {(top + k) % 20 for top in tops for k in range(8)}
    assert covered == set(range(20)) and (wrap or max(tops) == 12)
    see = Independent("edm").denoiser(Condition(), None, len(tops) * len(lefts))
    x = torch.randn(1, 1, 20, 12)
    made = windowed(see, (8, 8), tops, lefts)(x, torch.tensor([0.5]))
    alone = Independent("edm").denoiser(Condition(), None, 1)(x, torch.tensor([0.5]))
    torch.testing.assert_close(made, alone)


def test_a_canvas_is_larger_than_the_model_and_wraps_when_asked():
    world = Independent("linear")
    options = generate.options_of(world, {"steps": 4})
    made = solve.canvas(world, 12, 20, Condition(), wrap=True, options=options)
    assert made.shape == (1, 1, 12, 20) and torch.isfinite(made).all()
    assert torch.equal(made, solve.canvas(world, 12, 20, Condition(), wrap=True, options=options))
    with pytest.raises(ConfigError, match="smaller than the model's 8x8"):
        solve.canvas(world, 6, 20, Condition())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("upscale:3", "cannot come from ones 3 times smaller"),
        ("upscale:x", "'x' is not a number"),
        ("deblur:0", "cannot be undone"),
        ("colorize", "have no colours"),
        ("sharpen", "nothing that a diffusion model can undo"),
    ],
)
def test_what_cannot_be_undone_is_said(kind, message):
    with pytest.raises(ConfigError, match=message):
        solve.solve(Independent("linear"), shades(), kind, Condition())


def test_models_of_latents_and_others_are_refused(digits):
    with pytest.raises(ConfigError, match="takes pictures of"):
        solve.solve(Independent("linear"), shades(), "upscale:2", Condition())
    with pytest.raises(NotAble, match="works in latents"):
        solve.solve(trained("latent-flow", digits, 1), torch.zeros(1, 1, 4, 4), "upscale:2", Condition())
    with pytest.raises(NotAble, match="cannot edit"):
        solve.solve(trained("vae", digits, 1), torch.zeros(1, 1, 4, 4), "upscale:2", Condition())
