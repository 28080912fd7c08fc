"""The transformer: positions that only count by their difference, shared heads, and a cache that changes nothing."""

import pytest
import torch

from limner.errors import ConfigError
from limner.nn.transformer import Size, Transformer, attend, normalised, rotary, turned

SMALL = Size(width=32, depth=3, heads=4, sharing=2)


def vectors(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def build(size=SMALL):
    torch.manual_seed(0)
    return Transformer(size).eval()


def places(count, first=0):
    return rotary(torch.arange(first, first + count)[:, None], SMALL.head_width)


@pytest.mark.parametrize("shift", [(3, 0), (0, 3), (2, 5)])
def test_rotary_products_depend_on_differences_of_position_along_each_axis(shift):
    query, key = vectors(1, 2, 1, 16), vectors(1, 2, 1, 16, seed=1)
    here = torch.tensor([[1, 2], [4, 3]])
    products = []
    for positions in (here, here + torch.tensor(shift)):
        turns = rotary(positions, 16)
        products.append((turned(query, turns)[:, 0] * turned(key, turns)[:, 1]).sum())
    torch.testing.assert_close(*products)
    other = rotary(torch.tensor([[1, 2], [5, 3]]), 16)
    assert abs((turned(query, other)[:, 0] * turned(key, other)[:, 1]).sum() - products[0]) > 1e-3


def test_axes_turn_their_own_pairs_at_the_same_rates():
    """A step along either axis turns half of the pairs, by 1 down to 1 / sqrt(longest), and leaves the others."""
    down, across = (rotary(torch.tensor([step]), 16, longest=100.0)[0][0, 0, :8].acos() for step in ([1, 0], [0, 1]))
    torch.testing.assert_close(
        down, torch.tensor([1, 0, 100**-0.25, 0, 100**-0.5, 0, 100**-0.75, 0]), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(across, down.roll(1))


def test_turning_keeps_lengths_and_position_0_turns_nothing():
    x = vectors(2, 5, 3, 16)
    turns = rotary(torch.arange(5)[:, None], 16)
    torch.testing.assert_close(turned(x, turns).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned(x, turns)[:, 0], x[:, 0])


@pytest.mark.parametrize("sharing", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 5])
def test_shared_heads_are_keys_and_values_repeated_for_each_query_head(sharing, length):
    query, key, value = vectors(2, 4, length, 8), vectors(2, 4 // sharing, 7, 8, seed=1), vectors(2, 4 // sharing, 7, 8)
    seen = vectors(2, 1, length, 7, seed=2) > -1
    key_, value_ = (part.repeat_interleave(sharing, 1) for part in (key, value))
    weights = (query @ key_.transpose(2, 3) / 8**0.5).masked_fill(~seen, -torch.inf).softmax(-1)
    torch.testing.assert_close(attend(query, key, value, seen), weights @ value_)


def test_normalised_vectors_have_a_mean_square_of_1():
    torch.testing.assert_close(normalised(7 * vectors(3, 4, 32)).square().mean(-1), torch.ones(3, 4))


@pytest.mark.parametrize("sharing", [1, 2])
@pytest.mark.parametrize("parts", [[9], [1] * 9, [4, 1, 3, 1]])
def test_reading_in_parts_with_a_cache_is_reading_at_once(sharing, parts):
    """At once under a mask by which each part sees itself and those before it."""
    model, x = build(Size(width=32, depth=3, heads=4, sharing=sharing)), vectors(2, 9, 32)
    part = torch.repeat_interleave(torch.arange(len(parts)), torch.tensor(parts))
    at_once = model(x, places(9), (part[:, None] >= part[None])[None, None])
    cache, at, found = model.cache(2, 9, x), 0, []
    for length in parts:
        found.append(model(x[:, at : at + length], places(length, at), cache=cache, at=at))
        at += length
    torch.testing.assert_close(torch.cat(found, 1), at_once, atol=1e-6, rtol=0)


def test_reading_on_from_an_earlier_place_forgets_what_came_after_it():
    model, x = build(), vectors(1, 6, 32)
    cache = model.cache(1, 6, x)
    model(vectors(1, 6, 32, seed=3), places(6), cache=cache)
    model(x[:, :2], places(2), cache=cache)
    again = model(x[:, 2:4], places(2, 2), cache=cache, at=2)
    fresh = model.cache(1, 6, x)
    model(x[:, :2], places(2), cache=fresh)
    assert torch.equal(again, model(x[:, 2:4], places(2, 2), cache=fresh, at=2))


def test_a_row_is_the_same_alone_and_in_a_batch():
    model, x = build(), vectors(4, 9, 32)
    for row in range(4):
        torch.testing.assert_close(model(x[row : row + 1], places(9)), model(x, places(9))[row : row + 1])


def test_each_part_adds_about_alike_at_first():
    """What all parts add has about the size of what comes in, however deep the transformer."""
    x = vectors(2, 9, 256)
    for depth in (2, 12):
        model = build(Size(width=256, depth=depth, heads=4))
        stream = x
        for block in model.blocks:
            stream = block(stream, rotary(torch.arange(9)[:, None], 64), None, None, 0)
        assert 0.2 < (stream - x).square().mean() < 1.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"width": 30, "heads": 4}, "width=30 is not a multiple"), ({"width": 32, "heads": 4, "sharing": 3}, "sharing=3")],
)
def test_a_size_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Size(depth=1, **settings)
