"""Directions of decoders whose strongest ones are known, and of every model that decodes."""

import pytest
import runs
import torch
from toys import Toy, ToyConfig

from limner.errors import ConfigError, NotAble
from limner.rng import ImageRng
from limner.tasks.directions import axes, directions, strips
from limner.types import Condition, DataSpec

SPEC = DataSpec(channels=1, height=4, width=4)


class Linear(Toy):
    """Pictures are a matrix times the latent; its singular values are 0.8, 0.4, 0.2 and 0.1."""

    name = "linear"

    def __init__(self, config, data):
        super().__init__(config, data)
        torch.manual_seed(0)
        pixels, turns = torch.linalg.qr(torch.randn(16, 4))[0], torch.linalg.qr(torch.randn(4, 4))[0]
        self.register_buffer("turns", turns)
        self.register_buffer("matrix", pixels @ torch.diag(torch.tensor([0.8, 0.4, 0.2, 0.1])) @ turns.T)

    def decode(self, latent, condition):
        return (latent @ self.matrix.T).view(-1, 1, 4, 4)


def drawn(count=16, scale=1.0):
    latents = ImageRng(0, range(count)).normal(4)
    return scale * (latents - latents.mean(0)) / latents.std(0)


@pytest.fixture
def linear():
    return Linear(ToyConfig(), SPEC)


def test_of_a_linear_decoder_they_are_its_singular_vectors(linear):
    found = directions(linear, drawn(), Condition(), count=3)
    assert (found.vectors @ linear.turns[:, :3]).abs().diagonal() == pytest.approx([1, 1, 1], abs=1e-3)
    assert found.effects.tolist() == pytest.approx([0.2, 0.1, 0.05], rel=1e-3)  # over 16 pixels: a quarter of each
    assert found.scales.tolist() == pytest.approx([1, 1, 1], abs=1e-4)


def test_a_dimension_that_sampling_moves_less_counts_less(linear):
    """With another spread in each dimension, a step is one of the spread: the matrix's columns are scaled by it."""
    spread = torch.tensor([0.1, 1.0, 3.0, 0.5])
    found = directions(linear, drawn() * spread, Condition(), count=4)
    expected = torch.linalg.svdvals(linear.matrix * spread) / 4
    assert found.effects.tolist() == pytest.approx(expected.tolist(), rel=5e-3)
    assert found.vectors.norm(dim=1).tolist() == pytest.approx([1] * 4)


def test_they_are_the_same_in_every_run_and_do_not_depend_on_the_start(linear):
    first, again, other = (directions(linear, drawn(), Condition(), count=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.vectors, again.vectors)
    assert torch.allclose(first.vectors, other.vectors, atol=1e-2)


def test_what_undoes_itself_on_average_counts_all_the_same():
    """|z0| moves pictures both ways: the mean Jacobian is 0, its mean square is not."""

    class Folded(Linear):
        def decode(self, latent, condition):
            return (latent[:, :1].abs() * 0.5 + 0.01 * latent[:, 1:2]).repeat(1, 16).view(-1, 1, 4, 4)

    found = directions(Folded(ToyConfig(), SPEC), drawn(64), Condition(), count=1)
    assert found.vectors[0, 0].item() == pytest.approx(1, abs=0.02)


def test_axes_are_the_dimensions_with_the_longest_columns(linear):
    found = axes(linear, drawn() * torch.tensor([0.1, 1.0, 3.0, 0.5]), Condition(), count=4)
    effects = (linear.matrix * torch.tensor([0.1, 1.0, 3.0, 0.5])).norm(dim=0) / 4
    assert found.vectors.argmax(1).tolist() == effects.argsort(descending=True).tolist()
    assert found.effects.tolist() == pytest.approx(sorted(effects.tolist(), reverse=True), rel=1e-3)
    assert found.vectors.sum(1).tolist() == [1] * 4


def test_a_strip_moves_along_its_direction_through_the_latent(linear):
    latent = drawn()[:1]
    found = directions(linear, drawn(), Condition(), count=2)
    made = strips(linear, latent, Condition(), found, reach=2, steps=5)
    assert made.shape == (2, 5, 1, 4, 4)
    assert torch.allclose(made[:, 2], linear.decode(latent, Condition()).expand(2, 1, 4, 4), atol=1e-6)
    moved = (made[:, 4] - made[:, 0]).flatten(1).square().mean(1).sqrt() / 4
    assert moved.tolist() == pytest.approx(found.effects.tolist(), rel=1e-3)


@pytest.mark.parametrize("name", ["ae", "vae", "gan"])
def test_every_model_that_decodes_has_directions(name, shapes):
    model = runs.build(name, shapes).eval()
    condition = runs.batch_of(shapes).condition
    latents = ImageRng(0, range(8)).normal(*model.latent_shape)
    found = directions(model, latents, condition, count=2)
    assert torch.isfinite(found.vectors).all() and found.effects[0] >= found.effects[1] > 0
    assert strips(model, latents[:1], condition.rows(0, 1), found, steps=3).shape == (2, 3, *shapes.spec.shape)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_not_possible_is_refused(linear):
    for latents, count in ((drawn()[:1], 1), (drawn(), 5), (drawn(), 0)):
        with pytest.raises(ConfigError, match=f"{count} directions from"):
            directions(linear, latents, Condition(), count=count)
    with pytest.raises(ConfigError, match="2 steps or more"):
        strips(linear, drawn()[:1], Condition(), directions(linear, drawn(), Condition(), count=1), steps=1)


def test_a_decoder_without_gradients_is_refused():
    class Stepped(Linear):
        def decode(self, latent, condition):
            return super().decode(latent, condition).detach()

    with pytest.raises(NotAble, match="decodes without gradients"):
        directions(Stepped(ToyConfig(), SPEC), drawn(), Condition(), count=1)
