"""Seamless cloning: the gradients of one picture inside a mask, the colours of the other around it.

The equation is solved on the pixels inside by conjugate gradients to a residual of 1e-7 of its right side, with a cycle
over ever coarser grids as preconditioner, so that the steps hardly grow with the picture.
Sources: Pérez et al. 2003, Poisson image editing, equations 7 to 13; Braess 1995, Towards algebraic multigrid for
elliptic problems of second order (squares of pixels made one, and their correction enlarged).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ConfigError
from .blend import check

_RESIDUAL = 1e-7
_MOST_STEPS = 1000  # a few tens are usual
_COARSEST = 256  # pixels on the coarsest grid, at most, where the equation is solved outright
_LARGER = 1.8  # by what a correction from a coarser grid, constant in each square, is too small (Braess, section 3)
_DAMPING = 0.8  # of a step of Jacobi's


def poisson(under: np.ndarray, over: np.ndarray, mask: np.ndarray, *, mixed: bool = False) -> np.ndarray:
    """`over` inside the mask (above a half), its colours moved so that nothing jumps at the rim.

    mixed   keep the stronger of the two gradients at each pixel: for writing and other things with holes in them
    At the edge of the picture nothing is known, and the gradient is `over`'s own. Raises ConfigError for a mask that
    leaves no pixel outside to agree with.
    """
    check(under, over, mask)
    inside = mask > 0.5
    if not inside.any():
        return under.copy()
    if inside.all():
        raise ConfigError("the mask covers the whole picture, so there is no colour around it to agree with")
    part = _around(inside)
    inside, below, above = inside[part], under[part], over[part]
    out, grid = under.copy(), _Grid.of(inside)
    cycle = _Cycle(grid)
    for channel in range(under.shape[2]):
        right = _right(below[..., channel], above[..., channel], inside, mixed=mixed)
        start = np.where(inside, above[..., channel], 0.0)
        out[part][inside, channel] = _solved(grid, cycle, right, start)[inside]
    return out


def residual(image: np.ndarray, under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> float:
    """How far `image` is from solving the equation: the largest residual as a share of the largest right side."""
    inside = mask > 0.5
    grid, worst = _Grid.of(inside), 0.0
    for channel in range(image.shape[2]):
        right = _right(under[..., channel], over[..., channel], inside, mixed=False)
        left = grid.times(np.where(inside, image[..., channel], 0.0))
        worst = max(worst, float(np.abs(left - right).max() / max(1.0, np.abs(right).max())))
    return worst


def _around(inside: np.ndarray) -> tuple[slice, slice]:
    """Where the mask lies, and one pixel more to each side."""
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(inside.any(axis=axis))
        spans.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return spans[0], spans[1]


def _right(under: np.ndarray, over: np.ndarray, inside: np.ndarray, *, mixed: bool) -> np.ndarray:
    """(H, W) the divergence of the wanted gradient, and the known colours at the rim; 0 outside."""
    total = np.zeros(inside.shape)
    for axis in (0, 1):
        wanted, own = np.diff(over, axis=axis), np.diff(under, axis=axis)
        if mixed:
            wanted = np.where(np.abs(own) > np.abs(wanted), own, wanted)
        for here, there, sign in ((_LOWER, _UPPER, -1), (_UPPER, _LOWER, 1)):
            total[here[axis]] += sign * wanted + np.where(inside[there[axis]], 0.0, under[there[axis]])
    return np.where(inside, total, 0.0)


_LOWER = ((slice(None, -1), slice(None)), (slice(None), slice(None, -1)))  # by axis: all but the last
_UPPER = ((slice(1, None), slice(None)), (slice(None), slice(1, None)))  # and all but the first


class _Grid:
    """The equation on one grid: what its matrix holds on the diagonal, and between neighbours by axis, negated.

    inside     (H, W) the pixels that are solved for; elsewhere values and right side are 0
    diagonal   (H, W), 1 elsewhere
    links      (H - 1, W) and (H, W - 1), 0 but between two pixels inside
    """

    def __init__(self, inside: np.ndarray, diagonal: np.ndarray, links: Sequence[np.ndarray]) -> None:
        self.inside, self.diagonal, self.links = inside, diagonal, links

    @classmethod
    def of(cls, inside: np.ndarray) -> _Grid:
        """The finest: as many on the diagonal as a pixel has neighbours in the picture, 1 between neighbours."""
        number = np.zeros(inside.shape)
        for axis in (0, 1):
            number[_LOWER[axis]] += 1
            number[_UPPER[axis]] += 1
        links = [(inside[_LOWER[axis]] & inside[_UPPER[axis]]).astype(np.float64) for axis in (0, 1)]
        return cls(inside, np.where(inside, number, 1.0), links)

    def coarser(self) -> _Grid:
        """Squares of 2x2 pixels as one: Galerkin's matrix for corrections that are constant in each."""
        inside = _squares(self.inside.astype(np.float64)) > 0
        total = _squares(np.where(self.inside, self.diagonal, 0.0))
        links = []
        for axis, link in enumerate(self.links):
            within, between = (np.moveaxis(np.moveaxis(link, axis, 0)[first::2], 0, axis) for first in (0, 1))
            across = 1 - axis
            within, between = _pairs(within, across), _pairs(between, across)
            total[tuple(map(slice, within.shape))] -= 2 * within
            links.append(between)
        return _Grid(inside, np.where(inside, total, 1.0), links)

    def times(self, values: np.ndarray) -> np.ndarray:
        """The matrix times (H, W) values."""
        out = self.diagonal * values
        for axis, link in enumerate(self.links):
            out[_LOWER[axis]] -= link * values[_UPPER[axis]]
            out[_UPPER[axis]] -= link * values[_LOWER[axis]]
        return out

    def dense(self) -> np.ndarray:
        """The matrix, (H W, H W)."""
        places = np.eye(self.inside.size).reshape(-1, *self.inside.shape)
        return np.stack([self.times(place).ravel() for place in places])


class _Cycle:
    """An approximate inverse of a grid's matrix, symmetric and positive: Jacobi's step, a coarser grid's, Jacobi's."""

    def __init__(self, grid: _Grid) -> None:
        self.grid, self.scale = grid, _DAMPING / grid.diagonal
        self.coarser = _Cycle(grid.coarser()) if grid.inside.size > _COARSEST else None
        self.inverse = np.linalg.inv(grid.dense()) if self.coarser is None else None

    def __call__(self, right: np.ndarray) -> np.ndarray:
        if self.coarser is None:
            return (self.inverse @ right.ravel()).reshape(right.shape)
        values = self.scale * right
        coarse = self.coarser.twice(_squares(right - self.grid.times(values)))
        larger = (_LARGER * coarse).repeat(2, axis=0).repeat(2, axis=1)[: right.shape[0], : right.shape[1]]
        values += np.where(self.grid.inside, larger, 0.0)
        return values + self.scale * (right - self.grid.times(values))

    def twice(self, right: np.ndarray) -> np.ndarray:
        """The cycle, and once more for what it left: never more than the inverse, so that enlarging it is safe."""
        values = self(right)
        return values if self.coarser is None else values + self(right - self.grid.times(values))


def _squares(image: np.ndarray) -> np.ndarray:
    """The sums of squares of 2x2 pixels."""
    return _pairs(_pairs(image, 0), 1)


def _pairs(image: np.ndarray, axis: int) -> np.ndarray:
    """The sums of two and two along an axis; of an odd number the last stays alone."""
    lines = np.moveaxis(image, axis, 0)
    made = lines[::2].copy()
    made[: len(lines) // 2] += lines[1::2]
    return np.moveaxis(made, 0, axis)


def _solved(grid: _Grid, cycle: _Cycle, right: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Conjugate gradients from `start`, preconditioned by a cycle."""
    values, left = start, right - grid.times(start)
    limit = _RESIDUAL * max(1.0, float(np.abs(right).max()))
    direction, power = np.zeros_like(start), 1.0
    for _ in range(_MOST_STEPS):
        if np.abs(left).max() <= limit:
            break
        scaled = cycle(left)
        before, power = power, float(np.vdot(left, scaled))
        direction = scaled + power / before * direction
        image = grid.times(direction)
        step = power / float(np.vdot(direction, image))
        values = values + step * direction
        left = left - step * image
    return values
