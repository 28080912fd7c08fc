"""Pictures that continue: textures that tile, and overlapping pictures joined into a panorama."""

from __future__ import annotations

import numpy as np

from ...errors import ConfigError
from .blend import alpha, pyramid

_LEAST_OVERLAP = 0.05  # of a picture's width
_AROUND = 32  # rows that are repeated beyond ends which meet: more than melting looks at
_UNLIKE = 0.5  # of the sum of two pictures' variances, which is the mean squared difference of unlike ones


def seamless(image: np.ndarray, *, share: float = 0.25) -> np.ndarray:
    """A texture that can be laid side by side with itself: its ends overlap by `share` of each side and are cut and
    blended along the path where they differ least, so it comes out that much smaller.
    """
    if not 0 < share <= 0.5:
        raise ConfigError(f"share={share} is not in (0, 0.5]")
    wide = _wrapped(image, share)
    return _wrapped(wide.transpose(1, 0, 2), share, around=True).transpose(1, 0, 2)


def _wrapped(image: np.ndarray, share: float, *, around: bool = False) -> np.ndarray:
    """The right end laid over the left one, along the best cut; (H, W, C) -> (H, W - overlap, C).

    around   whether its upper and lower ends meet already, which they still do then
    """
    width = image.shape[1]
    overlap = int(round(share * width))
    if overlap < 1:
        return image
    start, end = image[:, :overlap], image[:, width - overlap :]
    join = _joined_around if around else _joined
    joined = join(end, start)  # what comes from the right, then, beyond the cut, the left end as it was
    return np.concatenate([joined, image[:, overlap : width - overlap]], axis=1)


def panorama(pictures: list[np.ndarray]) -> np.ndarray:
    """Overlapping pictures of one height, from left to right, in one; each is found to lie where it fits the last best.

    Raises ConfigError where two do not overlap or are of other heights.
    """
    if len({picture.shape[0] for picture in pictures}) != 1:
        raise ConfigError("the pictures of a panorama must be of one height; scale them first")
    whole = pictures[0]
    for place, picture in enumerate(pictures[1:], 1):
        down, across = offset(whole, picture)
        overlap = whole.shape[1] - across
        if overlap < _LEAST_OVERLAP * picture.shape[1]:
            raise ConfigError(f"picture {place + 1} of the panorama does not overlap the one before it")
        top, bottom = max(0, down), min(whole.shape[0], down + picture.shape[0])
        whole, picture = whole[top:bottom], picture[top - down : bottom - down]
        overlap = min(overlap, picture.shape[1])
        joined = _joined(whole[:, across : across + overlap], picture[:, :overlap])
        whole = np.concatenate([whole[:, :across], joined, picture[:, overlap:]], axis=1)
    return whole


def offset(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """(down, across): where the top left of `second` lies in `first`, by phase correlation.

    Source: Kuglin and Hines 1975, The phase correlation image alignment method. Of the shifts that wrap around alike,
    the one is taken whose overlap agrees best.
    """
    height, width = first.shape[0] + second.shape[0], first.shape[1] + second.shape[1]
    spectra = [np.fft.rfft2(_flat(picture), (height, width)) for picture in (first, second)]
    cross = spectra[0] * spectra[1].conj()
    peaks = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), (height, width))
    # a fit must be better than that of pictures which have nothing in common
    best, found = _UNLIKE * (first.var() + second.var()), (0, first.shape[1])
    for place in np.argsort(peaks, axis=None)[-12:]:
        down, across = np.unravel_index(place, peaks.shape)
        for y in (int(down), int(down) - height):
            for x in (int(across), int(across) - width):
                error = _disagreement(first, second, y, x)
                if error < best:
                    best, found = error, (y, x)
    return found


def _flat(picture: np.ndarray) -> np.ndarray:
    gray = picture.mean(axis=2)
    return gray - gray.mean()


def _disagreement(first: np.ndarray, second: np.ndarray, down: int, across: int) -> float:
    """The mean squared difference where two pictures overlap; infinite where that is too little."""
    top, bottom = max(0, down), min(first.shape[0], down + second.shape[0])
    left, right = max(0, across), min(first.shape[1], across + second.shape[1])
    least = _LEAST_OVERLAP * min(first.shape[1], second.shape[1])
    if across < 0 or right - left < least or bottom - top < 0.5 * min(first.shape[0], second.shape[0]):
        return np.inf
    ours = first[top:bottom, left:right]
    theirs = second[top - down : bottom - down, left - across : right - across]
    return float(np.square(ours - theirs).mean())


def _joined(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Two views of one strip: the left one up to the cut where they differ least, and the right one beyond it."""
    return _melted(left, right, cut(np.square(left - right).sum(axis=2)))


def _joined_around(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """As `_joined`, of strips whose upper and lower ends meet: the cut begins where it ends, and rows go on around."""
    cost = np.square(left - right).sum(axis=2)
    path = closed_cut(cost)
    more = min(_AROUND, len(path))
    left, right = (np.concatenate([part[-more:], part, part[:more]]) for part in (left, right))
    return _melted(left, right, np.concatenate([path[-more:], path, path[:more]]))[more:-more]


def _melted(left: np.ndarray, right: np.ndarray, path: np.ndarray) -> np.ndarray:
    """The left picture up to the column that `path` says for each row, the right one from there on."""
    mask = (np.arange(left.shape[1]) >= path[:, None]).astype(np.float64)
    if min(mask.shape) < 8:
        return alpha(left, right, mask)
    made = pyramid(left, right, mask, levels=3)
    made[:, 0], made[:, -1] = left[:, 0], right[:, -1]  # the strip's own ends meet what lies beside it
    return made


def cut(cost: np.ndarray) -> np.ndarray:
    """(H,) for each row the column of the cheapest path from top to bottom, which moves one column a row at most.

    Source: Efros and Freeman 2001, Image quilting, section 2.1.
    """
    height, width = cost.shape
    total = np.empty_like(cost, dtype=np.float64)
    total[0] = cost[0]
    for row in range(1, height):
        padded = np.pad(total[row - 1], 1, constant_values=np.inf)
        total[row] = cost[row] + np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    path = np.empty(height, int)
    path[-1] = int(total[-1].argmin())
    for row in range(height - 2, -1, -1):
        first = max(0, path[row + 1] - 1)
        path[row] = first + int(total[row, first : min(width, path[row + 1] + 2)].argmin())
    return path


def closed_cut(cost: np.ndarray) -> np.ndarray:
    """(H,) as `cut`, of rows whose last meets the first: a path that ends where it began, or a column beside it."""
    start = int(cut(np.concatenate([cost, cost, cost]))[len(cost)])  # where it passes with rows above and below
    held = np.full((1, cost.shape[1]), np.inf)
    held[0, start] = 0.0
    return cut(np.concatenate([held, cost[1:], held]))[:-1]
