"""Pictures as drawings: dark lines where brightness or colour changes, on white. What `pix2pix` paints in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...errors import ConfigError
from .blur import convolved, gaussian
from .step import Degraded, Plain, Step

_SIGMA = 0.7  # of the smoothing before differences are taken
_FULL = 60.0  # levels a pixel that make a line black


class Edges(Plain):
    """One channel: 255 less the length of the gradient, in whichever channel it is longest."""

    margin = 4

    def channels(self, given: int) -> int:
        return 1

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        kernel = gaussian(_SIGMA, rng)
        smooth = np.stack([convolved(image, kernel) for image in images])
        padded = np.pad(smooth, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]) / 2
        right = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]) / 2
        length = np.hypot(down, right).max(axis=3, keepdims=True)
        return Degraded(np.round(255 * (1 - length / _FULL).clip(0, 1)).astype(np.float32))


def _edges(numbers: Sequence[str]) -> Step:
    if numbers:
        raise ConfigError(f"edges takes no number, but {numbers[0]!r} was given")
    return Edges()


STEPS: Mapping[str, Callable[[Sequence[str]], Step]] = {"edges": _edges}
