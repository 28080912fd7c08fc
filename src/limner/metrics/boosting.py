"""Gradient-boosted regression trees on few inputs: which input tells how much of a target.

Inputs are cut into at most 32 bins of equal counts, so a tree costs a few counts of the rows. Targets may have several
columns: for classes one column each, where a squared error is Gini's impurity. It is exact, has no random part, and is
meant for thousands of rows, not millions.
Source: Friedman 2001, Greedy function approximation: a gradient boosting machine, algorithm 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError

BINS = 32
SMALLEST_LEAF = 5  # rows


@dataclass(frozen=True)
class Boosted:
    """A fitted sum of trees.

    importance   (D,) by how much splits on each input lowered the squared error, summing to 1; zeros if nothing did
    """

    importance: np.ndarray
    _cuts: list[np.ndarray]
    _base: np.ndarray
    _trees: list[_Tree]

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """(N, D) -> (N, K)."""
        binned = _binned(inputs, self._cuts)
        return self._base + sum((tree.predict(binned) for tree in self._trees), np.zeros((len(inputs), 1)))


def boost(inputs: np.ndarray, targets: np.ndarray, *, rounds: int = 40, depth: int = 3, rate: float = 0.25) -> Boosted:
    """Fit targets (N, K) by inputs (N, D) in `rounds` trees of `depth` splits, each of which closes a share `rate`.

    Raises ConfigError for unlike lengths, DataError for values that are not finite.
    """
    inputs, targets = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    if inputs.ndim != 2 or targets.ndim != 2 or len(inputs) != len(targets) or 0 in (inputs.size, targets.size):
        raise ConfigError(f"inputs {inputs.shape} and targets {targets.shape} do not fit; use (N, D) and (N, K)")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise DataError("some inputs or targets of the trees are not finite")
    cuts = [np.unique(np.quantile(column, np.arange(1, BINS) / BINS)) for column in inputs.T]
    binned, base = _binned(inputs, cuts), targets.mean(axis=0)
    left, importance, trees = targets - base, np.zeros(inputs.shape[1]), []
    for _ in range(rounds):
        tree = _grow(binned, left, depth, rate, importance)
        left = left - tree.predict(binned)
        trees.append(tree)
    total = importance.sum()
    return Boosted(importance / total if total > 0 else importance, cuts, base, trees)


@dataclass(frozen=True)
class _Tree:
    """splits   for each level (inputs (nodes,), last bins that go left (nodes,))      values   (leaves, K)"""

    splits: list[tuple[np.ndarray, np.ndarray]]
    values: np.ndarray

    def predict(self, binned: np.ndarray) -> np.ndarray:
        node = np.zeros(len(binned), np.int64)
        for split in self.splits:
            node = _descend(binned, node, *split)
        return self.values[node]


def _grow(binned: np.ndarray, left: np.ndarray, depth: int, rate: float, importance: np.ndarray) -> _Tree:
    """One tree that fits what is `left` (N, K); adds the gain of its splits to `importance`."""
    node, splits = np.zeros(len(binned), np.int64), []
    for level in range(depth):
        gain = _gains(binned, node, left, 2**level)  # (nodes, D, bins)
        best = gain.reshape(len(gain), -1).argmax(axis=1)
        inputs, bins = np.divmod(best, gain.shape[2])
        gained = np.take_along_axis(gain.reshape(len(gain), -1), best[:, None], axis=1)[:, 0]
        bins = np.where(gained > 0, bins, BINS)  # no split helps: all go left
        np.add.at(importance, inputs, gained.clip(0))
        splits.append((inputs, bins))
        node = _descend(binned, node, inputs, bins)
    counts = np.bincount(node, minlength=2**depth).clip(1)
    sums = [np.bincount(node, column, minlength=2**depth) for column in left.T]
    return _Tree(splits, rate * np.stack(sums, axis=1) / counts[:, None])


def _gains(binned: np.ndarray, node: np.ndarray, left: np.ndarray, nodes: int) -> np.ndarray:
    """(nodes, D, bins) by how much the squared error falls when rows up to a bin are parted from those above it."""
    columns = binned.shape[1]
    cell = ((node[:, None] * columns + np.arange(columns)) * BINS + binned).ravel()
    shape = (nodes, columns, BINS)

    def below(weights: np.ndarray | None) -> np.ndarray:
        return np.bincount(cell, weights, minlength=nodes * columns * BINS).reshape(shape).cumsum(axis=2)

    count = below(None)
    rest = count[..., -1:] - count
    here, there, both = (1 / np.maximum(rows, 1) for rows in (count, rest, count[..., -1:]))
    gain = np.zeros(shape)
    for target in left.T:
        total = below(np.repeat(target, columns))
        whole = total[..., -1:]
        gain += total**2 * here + (whole - total) ** 2 * there - whole**2 * both
    gain[(count < SMALLEST_LEAF) | (rest < SMALLEST_LEAF)] = 0
    return np.where(gain > 1e-9 * np.square(left).sum(), gain, 0)  # what is left after a perfect fit is rounding


def _descend(binned: np.ndarray, node: np.ndarray, inputs: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """The child of its node that each row goes to."""
    return 2 * node + (binned[np.arange(len(binned)), inputs[node]] > bins[node])


def _binned(inputs: np.ndarray, cuts: list[np.ndarray]) -> np.ndarray:
    """(N, D) int64: how many of its column's cuts lie below each value."""
    return np.stack([np.searchsorted(cut, column, side="left") for cut, column in zip(cuts, inputs.T, strict=True)], 1)
