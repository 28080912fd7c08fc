"""Quantizers: every code there and back, gradients in closed form, and codebooks that find what they are to code."""

import math

import pytest
import torch
import torch.nn.functional as F

from limner.nn.quantizer import (
    HALFLIFE_IMAGES,
    Codebook,
    FiniteScalar,
    Quantized,
    perplexity,
    straight_through,
    usage,
)
from limner.rng import StepRng


def keyed(rows, step=0):
    return StepRng(0, step, start=0, stop=rows, total=rows)


# --- finite scalar quantization ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [(8, 6, 5), (8, 5, 5, 5), (2,), (3, 2, 7), (7, 5, 5, 5, 5)])
def test_every_token_is_its_own_embedding_s_token(levels):
    quantizer = FiniteScalar(levels)
    tokens = torch.arange(math.prod(levels))
    embedded = quantizer.embed(tokens)
    assert quantizer.vocabulary == len(tokens) and quantizer.width == len(levels)
    assert torch.equal(quantizer.round(embedded), tokens)
    assert len(embedded.unique(dim=0)) == len(tokens) and embedded.abs().max() < 1
    torch.testing.assert_close(embedded.mean(0), torch.zeros(len(levels)), atol=1e-6, rtol=0)


def test_levels_are_the_middles_of_equal_parts():
    embedded = FiniteScalar((4, 2)).embed(torch.arange(8))
    assert embedded[:4, 0].tolist() == [-0.75, -0.25, 0.25, 0.75] and embedded[::4, 1].tolist() == [-0.5, 0.5]


def test_the_nearest_embedding_is_chosen_also_at_the_ends():
    quantizer = FiniteScalar((8, 6, 5))
    values = torch.rand(5_000, 3, generator=torch.Generator().manual_seed(0)) * 2 - 1
    values[0], values[1] = 1.0, -1.0
    nearest = torch.cdist(values, quantizer.embed(torch.arange(240))).argmin(1)
    assert torch.equal(quantizer.round(values), nearest)


def test_the_gradient_of_the_embedding_is_that_of_the_bound():
    """Straight through the rounding: d code / d feature is the slope of tanh(0.85 z), whatever the token."""
    quantizer, features = FiniteScalar((8, 6, 5)), torch.randn(2, 3, 4, 4, requires_grad=True)
    weight = torch.randn(2, 3, 4, 4)
    (quantizer(features).code * weight).sum().backward()
    slope = 0.85 * (1 - torch.tanh(0.85 * features.detach()).square())
    torch.testing.assert_close(features.grad, weight * slope)


def test_normal_features_use_all_tokens_alike():
    quantizer = FiniteScalar((8, 6, 5))
    tokens = quantizer(torch.randn(400, 3, 8, 8, generator=torch.Generator().manual_seed(0))).tokens
    assert usage(tokens, 240) == 1 and perplexity(tokens, 240) > 0.97 * 240


# --- codebooks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalised", [False, True])
def test_a_codebook_gives_the_nearest_row(normalised):
    codebook = Codebook(32, 4, normalised=normalised)
    features = torch.randn(3, 4, 5, 6)
    found = codebook(features)
    placed = F.normalize(features, dim=1) if normalised else features
    rows = placed.permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.equal(found.tokens, torch.cdist(rows, codebook.table).argmin(-1))
    torch.testing.assert_close(found.code, codebook.embed(found.tokens).transpose(1, 2).unflatten(2, (5, 6)))
    torch.testing.assert_close(found.cost, (found.code - placed).square().mean())
    assert torch.equal(codebook.nearest(codebook.table), torch.arange(32))


def test_the_gradient_passes_straight_through_to_the_features():
    codebook, features = Codebook(8, 4, normalised=False), torch.randn(2, 4, 3, 3, requires_grad=True)
    weight = torch.randn(2, 4, 3, 3)
    found = codebook(features)
    (found.code * weight).sum().backward()
    torch.testing.assert_close(features.grad, weight)
    value, rounded = torch.tensor([0.3, 1.7], requires_grad=True), torch.tensor([0.0, 2.0])
    assert torch.equal(straight_through(value, rounded), rounded)


def test_a_learning_step_is_the_running_mean_in_closed_form():
    """Two images of one cell each: the chosen row moves to (old sum + new sum) / (old share + new share)."""
    codebook = Codebook(2, 1, normalised=False)
    codebook.table.copy_(torch.tensor([[0.0], [10.0]]))
    codebook.sums.copy_(codebook.table / 2)
    found = codebook(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
    codebook.learn(found, keyed(2))
    weight = 1 - 0.5 ** (2 / HALFLIFE_IMAGES)
    share = 0.5 * (1 - weight) + weight
    assert codebook.table[0].item() == pytest.approx(weight * 2.0 / share, rel=1e-4)
    assert codebook.table[1].item() == pytest.approx(10.0, rel=1e-5)


def test_a_codebook_finds_clusters_it_did_not_start_near():
    """Eight far points, sixteen rows that all start elsewhere: every point has its row, and no row lies dead."""
    points = 5 * torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    codebook = Codebook(16, 4, normalised=False)
    for step in range(80):
        draw = torch.Generator().manual_seed(step)
        which = torch.randint(8, (256, 9), generator=draw)
        rows = points[which] + 0.01 * torch.randn(256, 9, 4, generator=draw)
        codebook.learn(codebook(rows.transpose(1, 2).unflatten(2, (3, 3))), keyed(256, step))
    assert torch.cdist(points, codebook.table).min(1).values.max() < 0.1


def test_seeding_takes_features_by_their_squared_distance():
    """Of two features, one at its row and one far from it, the far one is always taken."""
    for step in range(20):
        codebook = Codebook(2, 1, normalised=False)
        codebook.table.copy_(torch.tensor([[0.0], [99.0]]))
        codebook.shares.copy_(torch.tensor([1.0, 0.0]))
        found = Quantized(torch.empty(0), torch.zeros(2, 1).long(), torch.zeros(()), torch.tensor([[[0.0]], [[4.0]]]))
        codebook.learn(found, keyed(2, step))
        assert codebook.table[1].item() == pytest.approx(4.0)


def test_learning_is_a_function_of_the_step_alone():
    features, states = torch.randn(8, 4, 3, 3), []
    for step in (5, 5, 6):
        torch.manual_seed(0)
        codebook = Codebook(64, 4, normalised=True)
        codebook.shares.zero_()
        codebook.learn(codebook(features), keyed(8, step))
        states.append(codebook.table.clone())
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_rows_of_a_normalised_codebook_keep_unit_length():
    codebook = Codebook(16, 4, normalised=True)
    for step in range(5):
        codebook.learn(codebook(torch.randn(32, 4, 3, 3)), keyed(32, step))
    torch.testing.assert_close(codebook.table.norm(dim=1), torch.ones(16))


def test_usage_and_perplexity_of_known_shares():
    tokens = torch.tensor([[0, 0], [1, 3]])
    assert usage(tokens, 4) == 0.75
    assert perplexity(tokens, 4).item() == pytest.approx(2**1.5)
