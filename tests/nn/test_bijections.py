"""The layers of normalizing flows: each is undone by its inverse, and knows its volume as autograd does."""

import pytest
import torch
from torch.distributions import Normal

from limner.nn.bijections import LARGEST, ActNorm, Bijection, Chain, InvertibleConvolution, Reorder, Standardise
from limner.nn.coupling import Affine, Coupling, CouplingNetwork, LogisticMixture
from limner.nn.multiscale import Layout, MultiScale, _turns

SHAPE = (4, 2, 3)
CONDITION = 3


def coupling(movement) -> Coupling:
    network = CouplingNetwork(2, 2 * movement.numbers, width=5, size=SHAPE[1:], condition=CONDITION)
    return Coupling(network, movement, kept=2, moved=2)


def away_from_its_start(layer, size=0.3):
    """The layer with all parameters moved, for many layers do nothing when new."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += size * torch.randn_like(parameter)
    return layer.requires_grad_(False)


LAYERS = {
    "actnorm": lambda: ActNorm(4),
    "reorder": lambda: Reorder([2, 0, 3, 1]),
    "convolution": lambda: InvertibleConvolution(4),
    "standardise": lambda: Standardise(SHAPE, CONDITION),
    "affine": lambda: coupling(Affine()),
    "mixture": lambda: coupling(LogisticMixture(3)),
    "chain": lambda: Chain(ActNorm(4), InvertibleConvolution(4), coupling(Affine()), coupling(LogisticMixture(2))),
}


def built(name: str) -> Bijection:
    torch.manual_seed(0)
    return away_from_its_start(LAYERS[name](), size=0.1)


def inputs(rows: int, dtype=torch.float32):
    draw = torch.Generator().manual_seed(1)
    x, condition = torch.randn(rows, *SHAPE, generator=draw), torch.randn(rows, CONDITION, generator=draw)
    return x.to(dtype), condition.to(dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_the_volume_of_a_layer_is_that_of_its_jacobian(name):
    layer, (x, condition) = built(name).double(), inputs(2, torch.float64)
    _, found = layer(x, condition)
    for row in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda image, row=row: layer(image[None], condition[row : row + 1])[0][0], x[row]
        )
        expected = torch.linalg.slogdet(jacobian.reshape(24, 24)).logabsdet
        torch.testing.assert_close(found[row], expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_undone_by_its_inverse(name):
    layer, (x, condition) = built(name), inputs(50)
    y = layer(x, condition)[0]
    assert y.shape == x.shape and (name == "reorder" or (y - x).abs().max() > 0.1)
    torch.testing.assert_close(layer.inverse(y, condition), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["standardise", "affine", "mixture"])
def test_a_layer_that_takes_a_condition_listens_to_it(name):
    layer, (x, condition) = built(name), inputs(4)
    assert (layer(x, condition)[0] - layer(x, -condition)[0]).abs().flatten(1).amax(1).min() > 1e-3


def test_a_coupling_keeps_one_half_and_moves_each_number_of_the_other_alone():
    layer, (x, condition) = built("affine").double(), inputs(1, torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda image: layer(image[None], condition)[0][0], x[0])
    jacobian = jacobian.reshape(2, 12, 2, 12)  # (moved or kept) x 12 of the output, (kept or moved) x 12 of the input
    assert torch.equal(jacobian[1, :, 0], torch.eye(12, dtype=torch.float64)) and not jacobian[1, :, 1].any()
    assert torch.equal(jacobian[0, :, 1], torch.diag(jacobian[0, :, 1].diagonal()))
    assert jacobian[0, :, 0].any()


@pytest.mark.parametrize("name", ["affine", "standardise"])
def test_scales_are_bounded_whatever_a_network_says(name):
    layer, (x, condition) = away_from_its_start(built(name), size=100.0), inputs(8)
    y, log_volume = layer(100 * x, condition)
    assert y.isfinite().all() and log_volume.abs().max() <= LARGEST * 24


def test_actnorm_starts_with_mean_0_and_deviation_1_and_survives_a_flat_channel():
    layer, (x, condition) = ActNorm(4), inputs(64)
    x = x * torch.tensor([1.0, 5.0, 0.1, 0.0])[:, None, None] + 3
    layer.settle(x, condition)
    y = layer(x, condition)[0]
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0)[:3], torch.ones(3), atol=1e-4, rtol=0)
    assert layer.log_scale.isfinite().all()


def test_an_invertible_convolution_starts_as_a_rotation():
    weight = InvertibleConvolution(6).weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6), atol=1e-5, rtol=0)


def test_the_layers_of_a_chain_settle_on_what_reaches_them():
    chain, (x, condition) = Chain(ActNorm(4), Reorder([3, 2, 1, 0]), ActNorm(4)), inputs(64)
    chain.settle(5 * x + 1, condition)
    second = list(chain)[2]
    assert second.log_scale.abs().max() < 1e-5 and second.shift.abs().max() < 1e-5


# --- mixtures of logistics --------------------------------------------------------------------------------------------


def test_a_mixture_moves_by_its_distribution_function():
    """logit F, with F and its density summed plainly in float64."""
    movement, x = LogisticMixture(3), torch.linspace(-4, 4, 9, dtype=torch.float64)[None, None]
    torch.manual_seed(0)
    parameters = torch.randn(1, movement.numbers, 9, dtype=torch.float64)
    shift, log_scale, log_weights, means, log_scales = movement._read(parameters)
    z = (x[:, None] - means) / log_scales.exp()
    below = (log_weights.exp() * torch.sigmoid(z)).sum(1)
    density = (log_weights.exp() * torch.sigmoid(z) * torch.sigmoid(-z) / log_scales.exp()).sum(1)
    y, log_slope = movement.forward(x, parameters)
    torch.testing.assert_close(y, torch.logit(below) * log_scale.exp() - shift)
    torch.testing.assert_close(log_slope, torch.log(density / (below * (1 - below))) + log_scale)


def test_a_new_mixture_leaves_normal_numbers_about_normal():
    x = Normal(0.0, 1.0).icdf(torch.linspace(0.001, 0.999, 999))[None, None]
    for components in (1, 2, 8):
        movement = LogisticMixture(components)
        y, _ = movement.forward(x, torch.zeros(1, movement.numbers, 999))
        assert y.mean().abs() < 1e-3 and 0.7 < y.std() < 1.4


def test_a_mixture_is_exact_far_out():
    movement = LogisticMixture(4)
    x, parameters = torch.tensor([-60.0, -20.0, 20.0, 60.0])[None, None], torch.zeros(1, movement.numbers, 4)
    y, log_slope = movement.forward(x, parameters)
    assert y.isfinite().all() and log_slope.isfinite().all()
    torch.testing.assert_close(movement.inverse(y, parameters), x, atol=0, rtol=1e-6)


def test_the_inverse_of_a_mixture_has_the_digits_that_its_slope_leaves():
    """Members far apart, with next to nothing between them."""
    movement, x = LogisticMixture(4), torch.linspace(-4, 4, 801)[None, None]
    torch.manual_seed(1)
    parameters = (1.5 * torch.randn(1, movement.numbers, 1)).expand(-1, -1, 801)
    y, log_slope = movement.forward(x, parameters)
    assert log_slope.min() < -4
    error = (movement.inverse(y, parameters) - x).abs()
    assert (error <= 2e-6 * (1 + torch.exp(-log_slope))).all()


def test_the_inverse_of_a_mixture_has_the_gradients_of_an_inverse():
    movement = LogisticMixture(3)
    torch.manual_seed(0)
    parameters = torch.randn(1, movement.numbers, 9, dtype=torch.float64)
    y = torch.linspace(-2, 2, 9, dtype=torch.float64)[None, None]
    given = (y.requires_grad_(), parameters.requires_grad_())
    assert torch.autograd.gradcheck(movement.inverse, given, eps=1e-3, atol=1e-3)


# --- scales -----------------------------------------------------------------------------------------------------------


def scales(shape, depth, **parts) -> MultiScale:
    torch.manual_seed(0)
    made = MultiScale(Layout(shape=shape, condition=CONDITION, depth=depth, couplings=3, width=4, **parts))
    return away_from_its_start(made, size=0.1)


PARTS = [{}, {"mixing": "convolution"}, {"logistics": 2}]


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize(("shape", "depth"), [((1, 8, 4), 2), ((2, 4, 4), 1), ((5, 2, 2), 1)])
def test_scales_are_undone_and_know_their_volume(parts, shape, depth):
    flow, size = scales(shape, depth, **parts).double(), shape[0] * shape[1] * shape[2]
    x, condition = torch.randn(3, *shape, dtype=torch.float64), torch.randn(3, CONDITION, dtype=torch.float64)
    latent, log_volume = flow(x, condition)
    assert latent.shape == (3, size)
    torch.testing.assert_close(flow.inverse(latent, condition), x, atol=1e-7, rtol=0)
    jacobian = torch.autograd.functional.jacobian(lambda image: flow(image[None], condition[:1])[0][0], x[0])
    expected = torch.linalg.slogdet(jacobian.reshape(size, size)).logabsdet
    torch.testing.assert_close(log_volume[0], expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("parts", PARTS)
def test_scales_settle_on_what_reaches_them(parts):
    torch.manual_seed(0)
    flow = MultiScale(Layout(shape=(1, 8, 8), condition=0, depth=2, couplings=2, width=4, **parts))
    x, condition = 5 * torch.randn(200, 1, 8, 8) + 1, torch.zeros(200, 0)
    flow.settle(x, condition)
    latent = flow(x, condition)[0]
    assert latent.mean().abs() < 0.05 and abs(latent.std() - 1) < 0.1


def test_the_pixels_of_a_block_are_kept_and_moved_in_three_patterns():
    """One channel: after the first turn the checkerboard's 0 and 3 lie in front, then the upper row, then the left."""
    channels, turns = list(range(4)), _turns(4)
    fronts = []
    for _ in range(4):
        order = next(turns)
        channels = [channels[index] for index in order]
        fronts.append(set(channels[:2]))
    assert fronts == [{0, 3}, {0, 1}, {0, 2}, {0, 3}]
    assert sorted(next(_turns(12))[:6]) == [0, 3, 4, 7, 8, 11]
