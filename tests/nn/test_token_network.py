"""The network over [prefix | image]: who sees whom, and that reading on is reading at once."""

import pytest
import torch
from torch import nn

from limner.nn.decoding import guided
from limner.nn.token_network import Prefix, TokenNetwork, causal, grid_positions, joined
from limner.nn.transformer import Size

PLACES, FEATURES, VOCABULARY = 12, 5, 17
BLOCKS = torch.repeat_interleave(torch.arange(3), torch.tensor([1, 4, 7]))  # three scales
PATTERNS = {"causal": causal(PLACES), "scales": BLOCKS[:, None] >= BLOCKS[None], "all": None}


def build(pattern="causal", embed=None):
    torch.manual_seed(0)
    embed = nn.Linear(FEATURES, 32) if embed is None else embed
    size = Size(width=32, depth=2, heads=4, sharing=2)
    positions = grid_positions(3, 4)
    network = TokenNetwork(
        size, embed, vocabulary=VOCABULARY, positions=positions, pattern=PATTERNS[pattern], condition=6, text=10
    )
    return network.eval()


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def text(*lengths, seed=7):
    """Text of those lengths, padded."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return draw(len(lengths), max(lengths), 10, seed=seed), mask


def influence(output, source):
    """(N, N) bool: whether logits at a place depend on the source at another, by gradient."""
    rows = [torch.autograd.grad(output[0, place].sum(), source, retain_graph=True)[0] for place in range(PLACES)]
    return torch.stack([row[0].abs().sum(-1) > 0 for row in rows])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_no_place_sees_its_future_and_all_see_what_they_may(pattern):
    """By gradient, for every pair of places."""
    network, inputs = build(pattern), draw(1, PLACES, FEATURES).requires_grad_()
    output = network(inputs, network.prefix(draw(1, 6), text(3)))
    wanted = torch.ones(PLACES, PLACES, dtype=torch.bool) if PATTERNS[pattern] is None else PATTERNS[pattern]
    assert torch.equal(influence(output, inputs), wanted)


def test_every_place_sees_the_whole_prefix_but_for_padding():
    network, (vectors, _) = build(), text(4, 4)
    vectors.requires_grad_()
    condition = draw(2, 6).requires_grad_()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    output = network(draw(2, PLACES, FEATURES), network.prefix(condition, (vectors, mask)))
    for place in range(PLACES):
        of_text, of_condition = torch.autograd.grad(output[:, place].sum(), (vectors, condition), retain_graph=True)
        assert torch.equal(of_text.abs().sum(-1) > 0, mask)
        assert (of_condition != 0).any(1).all()


def test_a_text_is_the_same_however_much_padding_follows_it():
    network, inputs, condition = build(), draw(2, PLACES, FEATURES), draw(2, 6)
    vectors, mask = text(5, 2)
    together = network(inputs, network.prefix(condition, (vectors, mask)))
    alone = network(inputs[1:], network.prefix(condition[1:], (vectors[1:, :2], mask[1:, :2])))
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("told", [None, (3, 1)])
@pytest.mark.parametrize(("pattern", "chunks"), [("causal", [1] * PLACES), ("scales", [1, 4, 7]), ("all", [PLACES])])
def test_reading_on_is_reading_at_once(pattern, chunks, told):
    network, inputs = build(pattern), draw(2, PLACES, FEATURES)
    prefix = network.prefix(draw(2, 6), None if told is None else text(*told))
    reading, at, found = network.read(prefix), 0, []
    for length in chunks:
        found.append(reading.logits(inputs[:, at : at + length], at))
        at += length
    torch.testing.assert_close(torch.cat(found, 1), network(inputs, prefix), atol=1e-6, rtol=0)


def test_reading_the_image_again_forgets_how_it_was_read_before():
    network, prefix = build("all"), Prefix(draw(1, 1, 32))
    reading = network.read(prefix)
    reading.logits(draw(1, PLACES, FEATURES, seed=1), 0)
    again = reading.logits(draw(1, PLACES, FEATURES), 0)
    assert torch.equal(again, network.read(prefix).logits(draw(1, PLACES, FEATURES), 0))


@pytest.mark.parametrize("lengths", [((3, 2), (5, 1)), ((5, 1), (3, 2)), (None, None), ((2, 2), None)])
def test_guided_reading_moves_from_one_prefix_to_the_other(lengths):
    network, inputs = build("all"), draw(2, PLACES, FEATURES)
    told, untold = (
        network.prefix(draw(2, 6, seed=row), None if length is None else text(*length, seed=row))
        for row, length in enumerate(lengths)
    )
    found = network.read(joined(told, untold), 3.0).logits(inputs, 0)
    torch.testing.assert_close(found, guided(network(inputs, told), network(inputs, untold), 3.0), atol=1e-5, rtol=0)


def test_without_a_condition_there_is_still_something_to_see():
    torch.manual_seed(0)
    size = Size(width=8, depth=1, heads=1)
    network = TokenNetwork(size, nn.Embedding(4, 8), vocabulary=3, positions=grid_positions(2, 2), pattern=causal(4))
    assert network(torch.zeros(5, 4, dtype=torch.int64), network.prefix(torch.zeros(5, 0))).shape == (5, 4, 3)


def test_all_tokens_are_about_as_likely_at_first():
    """The loss then starts at the logarithm of the vocabulary."""
    network = build()
    shares = network(draw(4, PLACES, FEATURES), network.prefix(draw(4, 6))).log_softmax(-1)
    assert -shares.mean().item() == pytest.approx(torch.tensor(float(VOCABULARY)).log().item(), abs=0.1)


def test_it_reads_in_half_precision_nearly_the_same():
    network, inputs = build("all"), draw(2, PLACES, FEATURES)
    exact = network(inputs, network.prefix(draw(2, 6)))
    half = network.to(torch.bfloat16)
    found = half.read(half.prefix(draw(2, 6))).logits(inputs, 0)
    assert found.dtype == torch.float32 and 0 < (found - exact).abs().max() < 0.05
