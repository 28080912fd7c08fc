"""Seamless cloning: the gradients of one picture inside a mask, the colours of the other around it.

The equation is solved by conjugate gradients on the pixels inside, to a residual of 1e-7 of its right side. Its
preconditioner is the same equation on the rectangle around them, which sines solve exactly: so tens of steps do where
thousands would be taken.
Source: Pérez et al. 2003, Poisson image editing, equations 7 to 13; for the preconditioner Proskurowski and Widlund
1976, On the numerical solution of Helmholtz's equation by the capacitance matrix method.
"""

from __future__ import annotations

import numpy as np

from ...errors import ConfigError
from .blend import check

_RESIDUAL = 1e-7
_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


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
    system = _System(inside)
    out = under.copy()
    for channel in range(under.shape[2]):
        right = system.right(under[..., channel], over[..., channel], mixed=mixed)
        out[..., channel][inside] = system.solve(right, start=over[..., channel][inside])
    return out


def residual(image: np.ndarray, under: np.ndarray, over: np.ndarray, mask: np.ndarray) -> float:
    """How far `image` is from solving the equation: the largest residual as a share of the largest right side."""
    system = _System(mask > 0.5)
    worst = 0.0
    for channel in range(image.shape[2]):
        right = system.right(under[..., channel], over[..., channel], mixed=False)
        left = system.times(image[..., channel][system.inside])
        worst = max(worst, float(np.abs(left - right).max() / max(1.0, np.abs(right).max())))
    return worst


class _System:
    """The discrete Poisson equation on the pixels inside: neighbours counted on the diagonal, -1 between neighbours."""

    def __init__(self, inside: np.ndarray) -> None:
        self.inside = inside
        self.rows, self.columns = np.nonzero(inside)
        number = np.full(inside.shape, -1)
        number[self.rows, self.columns] = np.arange(len(self.rows))
        self.neighbours = []  # for each direction: which pixels have one, where it lies, its number or -1
        self.degree = np.zeros(len(self.rows))
        for down, right in _STEPS:
            y, x = self.rows + down, self.columns + right
            there = (y >= 0) & (y < inside.shape[0]) & (x >= 0) & (x < inside.shape[1])
            place = np.flatnonzero(there)
            y, x = y[there], x[there]
            self.neighbours.append((place, y, x, number[y, x]))
            self.degree[place] += 1
        self.rectangle = _Rectangle(self.rows, self.columns)

    def right(self, under: np.ndarray, over: np.ndarray, *, mixed: bool) -> np.ndarray:
        """The divergence of the wanted gradient, and the known colours at the rim."""
        total = np.zeros(len(self.rows))
        for place, y, x, number in self.neighbours:
            rows, columns = self.rows[place], self.columns[place]
            wanted = over[rows, columns] - over[y, x]
            if mixed:
                own = under[rows, columns] - under[y, x]
                wanted = np.where(np.abs(own) > np.abs(wanted), own, wanted)
            total[place] += wanted + np.where(number < 0, under[y, x], 0.0)
        return total

    def times(self, values: np.ndarray) -> np.ndarray:
        """The matrix times (n,) values."""
        out = self.degree * values
        for place, _, _, number in self.neighbours:
            known = number >= 0
            out[place[known]] -= values[number[known]]
        return out

    def solve(self, right: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Preconditioned conjugate gradients from the (n,) values `start`."""
        values = start.astype(np.float64)
        left = right - self.times(values)
        scaled = self.rectangle.solved(left)
        direction, power = scaled, float(left @ scaled)
        limit = _RESIDUAL * max(1.0, float(np.abs(right).max()))
        for _ in range(10 * len(right)):
            if np.abs(left).max() <= limit:
                break
            image = self.times(direction)
            step = power / float(direction @ image)
            values = values + step * direction
            left = left - step * image
            scaled = self.rectangle.solved(left)
            before, power = power, float(left @ scaled)
            direction = scaled + power / before * direction
        return values


class _Rectangle:
    """The same equation on the whole rectangle around some pixels, 0 beyond its rim: solved at once, by sines."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        self._place = (rows - rows.min(), columns - columns.min())
        self._shape = tuple(_smooth(int(place.max()) + 2) - 1 for place in self._place)
        waves = [2 - 2 * np.cos(np.pi * np.arange(1, side + 1) / (side + 1)) for side in self._shape]
        self._stiffness = np.add.outer(*waves) * 4 * (self._shape[0] + 1) * (self._shape[1] + 1)

    def solved(self, right: np.ndarray) -> np.ndarray:
        """(n,) right sides at the pixels, 0 elsewhere -> (n,) the solution there."""
        grid = np.zeros(self._shape)
        grid[self._place] = right
        return _sines(_sines(grid) / self._stiffness)[self._place]


def _sines(grid: np.ndarray) -> np.ndarray:
    """The discrete sine transform along both axes (type I); twice, it gives the grid times 4 (h + 1) (w + 1)."""
    for _ in range(2):
        odd = np.zeros((grid.shape[0], 2 * (grid.shape[1] + 1)))
        odd[:, 1 : grid.shape[1] + 1], odd[:, grid.shape[1] + 2 :] = grid, -grid[:, ::-1]
        grid = -np.fft.rfft(odd)[:, 1 : grid.shape[1] + 1].imag.T
    return grid


def _smooth(least: int) -> int:
    """The smallest number from `least` on that has no factors but 2, 3 and 5: transforms of such lengths are fast."""
    number = least
    while True:
        rest = number
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 1
