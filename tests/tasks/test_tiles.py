"""Tiles: a network always sees as many images at once, and an image always lies in the same place."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from limner.tasks.tiles import TILE, aligned, per_tile, pick
from limner.types import Condition


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_tiles_are_whole_hold_every_index_and_keep_its_place(indices):
    tiles = aligned(indices)
    assert all(len(tile) == TILE and tile[0] % TILE == 0 for tile in tiles)
    assert tiles == sorted(tiles) and set(indices) <= {index for tile in tiles for index in tile}
    assert len(tiles) == len({index // TILE for index in indices})


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 20])
def test_a_function_sees_whole_tiles_and_rows_keep_their_conditions(rows):
    seen = []

    def add(batch, condition):
        seen.append(len(batch))
        assert len(condition.label) == len(condition.text) == len(batch)
        return batch + condition.label[:, None] + torch.tensor([len(text) for text in condition.text])[:, None]

    values = torch.arange(rows)[:, None] * 100
    condition = Condition(label=torch.arange(rows) % 5, text=["x" * (row % 3) for row in range(rows)])
    made = per_tile(add, values, condition)
    assert made[:, 0].tolist() == [100 * row + row % 5 + row % 3 for row in range(rows)]
    assert set(seen) == {TILE}


def test_rows_of_a_condition_are_picked_in_the_order_asked_for():
    full = Condition(torch.arange(3), torch.eye(3), torch.eye(3).bool(), ["a", "b", "c"])
    picked = pick(full, [2, 0, 0])
    assert picked.label.tolist() == [2, 0, 0] and picked.text == ["c", "a", "a"]
    assert torch.equal(picked.attributes, torch.eye(3)[[2, 0, 0]]) and picked.known.dtype == torch.bool
    assert pick(Condition(), [0, 1]) == Condition()
