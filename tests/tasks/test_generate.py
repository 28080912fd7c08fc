"""Sampling, encoding and walking through latents, with any model that is able to."""

import pytest
import torch
from properties import bank, trained
from runs import batch_of, build

from limner.errors import ConfigError, NotAble
from limner.model import Decodes, Encodes, Model, Samples, Scores
from limner.rng import ImageRng
from limner.tasks import generate, interpolate, reconstruct
from limner.types import Condition


@pytest.fixture(scope="module")
def ae(digits):
    return trained("ae", digits, 20)


class Mute(Model):
    """A model that can do nothing."""

    name = "mute"

    def losses(self, batch, step):
        yield from ()


@pytest.mark.parametrize(
    ("conditional", "values", "says"),
    [
        ("none", {"guidance": 3.0}, "trained without classes"),
        ("auto", {"guidance": 3.0, "negative": "red"}, "reads no text"),
        ("auto", {"solver": "heun", "tolerance": 0.1}, "tolerance=0.1 is for solver=rk45"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(conditional, values, says, digits):
    model = build("flow-mlp", digits, conditional=conditional)
    with pytest.raises(ConfigError, match=says):
        generate.options_of(model, values)
    assert generate.options_of(model, {"steps": 3}).steps == 3


def test_guidance_needs_a_condition_or_a_guide(digits):
    values = {"guidance": 2.0}
    assert generate.options_of(build("flow-mlp", digits), values).guidance == 2
    assert generate.options_of(build("flow-mlp", digits, conditional="none"), values, guided=True).guidance == 2


@pytest.mark.parametrize(
    ("ability", "says"),
    [(Samples, "make images"), (Decodes, "decode latents"), (Encodes, "encode images"), (Scores, "score images")],
)
def test_an_ability_that_is_lacking_is_named(ability, says, digits):
    with pytest.raises(NotAble, match=f"'mute' cannot {says}; `limner models` shows"):
        generate.need(Mute(None, digits.spec), ability)
    with pytest.raises(NotAble, match="'gan' cannot (encode|score) images"):
        generate.need(build("gan", digits), {Samples: Encodes, Decodes: Encodes}.get(ability, ability))


def test_images_come_in_the_order_asked_for(ae, digits):
    asked = [9, 3, 3, 64, 0]
    made = generate.generate(ae, asked, seed=1, bank=bank(digits))
    for index, image in zip(asked, made, strict=True):
        assert torch.equal(image, generate.generate(ae, [index], seed=1, bank=bank(digits))[0])


def test_tiles_stream_only_what_was_asked_for(ae, digits):
    parts = list(generate.generate_tiles(ae, range(6, 18), seed=1, bank=bank(digits)))
    assert [indices for indices, _ in parts] == [[6, 7], [*range(8, 16)], [16, 17]]
    assert all(len(indices) == len(images) for indices, images in parts)


def test_seeds_and_indices_make_different_images(ae, digits):
    first, second = (generate.generate(ae, range(8), seed=seed, bank=bank(digits)) for seed in (1, 2))
    rows = torch.cat([first, second]).flatten(1)
    assert len(torch.unique(rows, dim=0)) == 16


def test_sampling_options_are_checked(ae):
    assert generate.options_of(ae, {"temperature": 0.5}).temperature == 0.5
    with pytest.raises(ConfigError, match="unknown key 'option.temprature'; did you mean option.temperature"):
        generate.options_of(ae, {"temprature": 0.5})
    with pytest.raises(ConfigError, match="option.temperature='hot'"):
        generate.options_of(ae, {"temperature": "hot"})


def test_at_temperature_0_a_models_pictures_lose_their_variety(digits):
    model = trained("gan", digits)
    cold = generate.options_of(model, {"temperature": 0.0})
    made = generate.generate(model, range(4), seed=0, bank=bank(digits), label="3", options=cold)
    assert torch.allclose(made, made[:1].expand_as(made), atol=1e-6)


def test_the_latents_of_images_decode_to_those_images(ae, digits):
    latent, condition = generate.latents(ae, range(8), seed=1, bank=bank(digits))
    made = generate.generate(ae, range(8), seed=1, bank=bank(digits))
    assert torch.equal(reconstruct.decode(ae, latent, condition), made)


def test_a_reconstruction_does_not_depend_on_how_many_are_made(ae, digits):
    batch = batch_of(digits, size=24)
    whole = reconstruct.reconstruct(ae, batch.image, batch.condition)
    first = reconstruct.reconstruct(ae, batch.image[:5], batch.condition.rows(0, 5))
    assert whole.shape == batch.image.shape and torch.equal(whole[:5], first)


def test_a_trained_autoencoder_remembers_its_images(digits):
    model, batch = trained("ae", digits, 150, width=16), batch_of(digits, size=32)
    rebuilt = reconstruct.reconstruct(model, batch.image, batch.condition)
    mean = batch.image.mean(0, keepdim=True)
    assert (rebuilt - batch.image).square().mean() < 0.8 * (mean - batch.image).square().mean()


# --- walks ------------------------------------------------------------------------------------------------------------


def test_slerp_starts_and_ends_where_it_should_and_stays_on_the_sphere():
    start, stop = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    start, stop = start / start.norm(), stop / stop.norm()
    for share in (0.0, 0.3, 1.0):
        made = interpolate.slerp(start, stop, torch.tensor(share))
        assert made.norm().item() == pytest.approx(1, abs=1e-5)
        angle, whole = (torch.acos((start * other).sum().clamp(-1, 1)).item() for other in (made, stop))
        assert angle == pytest.approx(share * whole, abs=1e-3)


def test_slerp_between_parallel_latents_is_straight_and_always_finite():
    start, half = torch.ones(4), torch.tensor(0.5)
    for stop in (3 * start, start, -start):
        assert torch.allclose(interpolate.slerp(start, stop, half), (start + stop) / 2)
    assert interpolate.slerp(start, 0 * start, half).isfinite().all()


def test_a_walk_visits_every_latent_and_has_steps_in_between(ae, digits):
    latent, condition = generate.latents(ae, range(3), seed=1, bank=bank(digits))
    path = interpolate.interpolate(ae, latent, condition, steps=4)
    ends = reconstruct.decode(ae, latent, condition)
    assert path.shape == (9, *digits.spec.shape)
    assert torch.allclose(path[[0, 4, 8]], ends, atol=1e-5)


@pytest.mark.parametrize(("count", "steps"), [(1, 4), (2, 0)])
def test_a_walk_needs_two_ends_and_a_step(ae, digits, count, steps):
    latent, condition = generate.latents(ae, range(count), seed=1, bank=bank(digits))
    with pytest.raises(ConfigError, match=f"got {count} and {steps}"):
        interpolate.interpolate(ae, latent, condition, steps=steps)


def test_a_traversal_moves_one_dimension_and_leaves_the_others(ae, digits):
    latent, condition = generate.latents(ae, range(1), seed=1, bank=bank(digits))
    rows = interpolate.traverse(ae, latent, condition, dimensions=[0, 2], values=[-1.0, float(latent[0, 2]), 3.0])
    assert rows.shape == (2, 3, *digits.spec.shape)
    moved = latent.clone()
    moved[0, 0] = 3.0
    assert torch.allclose(rows[0, 2], reconstruct.decode(ae, moved, condition)[0], atol=1e-5)
    assert torch.allclose(rows[1, 1], reconstruct.decode(ae, latent, condition)[0], atol=1e-5)
    with pytest.raises(ConfigError, match="dimension 4 does not exist; this model's latent has 0 to 3"):
        interpolate.traverse(ae, latent, condition, dimensions=[4], values=[0.0])


def test_samples_and_walks_of_a_model_that_learned_nothing_of_conditions(digits):
    model = trained("gan", digits, conditional="none")
    noise = model.draw_latent(ImageRng(0, range(2)), generate.options_of(model))
    assert interpolate.interpolate(model, noise, Condition(), steps=2).shape == (3, *digits.spec.shape)
