import pytest
import torch
import torch.nn.functional as F

from limner.nn.scale_quantizer import ScaleQuantizer, scale_sides
from limner.rng import StepRng


def build(sides=(1, 2, 4), size=32):
    torch.manual_seed(0)
    return ScaleQuantizer(size, 6, sides)


@pytest.mark.parametrize(
    ("side", "sides"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 3, 4)), (7, (1, 2, 3, 4, 7)), (8, (1, 2, 3, 4, 6, 8))]
)
def test_sides_grow_by_about_half(side, sides):
    assert scale_sides(side) == sides


@pytest.mark.parametrize("side", range(1, 40))
def test_sides_rise_from_1_to_the_grid_s(side):
    sides = scale_sides(side)
    assert sides[0] == 1 and sides[-1] == side and list(sides) == sorted(set(sides))


def test_the_code_is_what_the_tokens_add_up_to():
    quantizer, features = build(), torch.randn(3, 6, 4, 4)
    found = quantizer(features)
    assert found.tokens.shape == (3, 1 + 4 + 16) and found.inputs.shape == (3, 21, 6)
    torch.testing.assert_close(found.code, quantizer.added(found.tokens))
    assert quantizer.added(found.tokens[:, :0]).abs().max() == 0


def test_each_scale_codes_what_the_coarser_ones_left_over():
    quantizer, features = build(), torch.randn(3, 6, 4, 4)
    tokens = quantizer(features).tokens
    for scale, (start, end) in enumerate([(0, 1), (1, 5), (5, 21)]):
        rest = F.adaptive_avg_pool2d(features - quantizer.added(tokens[:, :start]), quantizer.sides[scale])
        expected = torch.cdist(rest.flatten(2).transpose(1, 2), quantizer.codebook.table).argmin(-1)
        assert torch.equal(tokens[:, start:end], expected)


def test_with_one_scale_it_is_a_plain_codebook():
    """The smoothing starts as the identity."""
    quantizer, features = build(sides=(4,)), torch.randn(2, 6, 4, 4)
    torch.testing.assert_close(quantizer(features).code, quantizer.codebook(features).code)


def test_gradients_reach_the_features_as_they_are_and_the_smoothing_too():
    quantizer, features, weight = build(), torch.randn(2, 6, 4, 4, requires_grad=True), torch.randn(2, 6, 4, 4)
    (quantizer(features).code * weight).sum().backward()
    torch.testing.assert_close(features.grad, weight)
    assert all(parameter.grad.abs().sum() > 0 for parameter in quantizer.parameters())


def test_more_scales_leave_less_over_once_the_codebook_has_learned():
    quantizer = build(size=64)
    for step in range(60):
        features = torch.randn(64, 6, 4, 4, generator=torch.Generator().manual_seed(step)) + 2
        quantizer.learn(quantizer(features), StepRng(0, step, start=0, stop=64, total=64))
    features = torch.randn(64, 6, 4, 4, generator=torch.Generator().manual_seed(99)) + 2
    tokens = quantizer(features).tokens
    errors = [(features - quantizer.added(tokens[:, :end])).square().mean().item() for end in (0, *quantizer.ends)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.5 * errors[1]


def test_tokens_that_are_not_whole_scales_are_refused():
    with pytest.raises(ValueError, match="scales end after 1, 5, 21"):
        build().added(torch.zeros(1, 3).long())
