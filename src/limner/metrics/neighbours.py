"""Exact nearest neighbours of many rows among many, in constant memory, and the cells of k-means.

Distances are Euclidean. Candidates are found by matrix products in float32, whose rounding is bounded; the winners'
distances are then computed in float64, and where the bound leaves a doubt the row is searched again in float64. So
neither distances nor neighbours depend on how the rows are tiled. It knows no images and no models: rows are features,
or pixels that `small_pixels` made rows of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError, DataError
from ..images.colour import with_channels
from ..images.resize import fit
from ..rng import generator

QUERIES, REFERENCES = 1024, 4096  # rows of a tile: 16 MB of distances
SPARE = 16  # candidates kept besides the k that are wanted, so that rounding seldom leaves a doubt
REFINED = 1 << 20  # values that are subtracted in float64 at once
PIXEL_SIDE = 32


@dataclass(frozen=True)
class Neighbours:
    """The k nearest references of each query, nearest first; of equally near ones the first comes first.

    indices     (N, k)   int64     rows of the references
    distances   (N, k)   float64   Euclidean
    """

    indices: np.ndarray
    distances: np.ndarray


def nearest(
    queries: np.ndarray, references: np.ndarray, *, k: int = 1, exclude: np.ndarray | None = None
) -> Neighbours:
    """The `k` nearest of `references` (M, D) for each of `queries` (N, D).

    exclude   (N,) a row of the references that each query may not have, itself for example; none by default

    Costs 2 N M D operations, and memory for a tile. Of more than k + 16 references that are all equally near, any may
    be named. Raises ConfigError for unlike shapes and too few references, DataError for values that are not finite.
    """
    queries, references = check_rows(queries, "queries"), check_rows(references, "references")
    _check_pair(queries, references, k, exclude)
    frame = _Frame.of(references)
    parts = []
    for start in range(0, len(queries), QUERIES):
        stop = start + QUERIES
        block = np.asarray(queries[start:stop], np.float64)
        parts.append(_search(block, references, frame, k, None if exclude is None else exclude[start:stop]))
    return Neighbours(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def small_pixels(images: np.ndarray, *, side: int = PIXEL_SIDE) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32: pixels in [0, 1] of images brought to at most side x side, as one row each.

    Transparent images are laid on white. Two rows differ by 1 for a pixel that goes from black to white.
    Raises ConfigError for what is not a batch of images.
    """
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
        raise ConfigError(f"images of {images.dtype} {images.shape} have no rows of pixels; use uint8 (N, H, W, C)")
    height, width = (min(length, side) for length in images.shape[1:3])
    channels = 3 if images.shape[3] == 4 else images.shape[3]
    rows = np.empty((len(images), height * width * channels), np.float32)
    for row, image in zip(rows, images, strict=True):
        small = fit(np.asarray(image), height, width, how="squash")
        row[:] = (small if small.shape[2] == channels else with_channels(small, channels)).ravel()
    return rows / 255


def clusters(rows: np.ndarray, count: int, *, seed: int = 0, rounds: int = 25) -> np.ndarray:
    """(K, D) float64 centres of `rows` (N, D) by k-means, K at most `count`: empty clusters are dropped.

    Starts from k-means++ and ends when no row changes its cluster, or after `rounds`.
    Sources: Lloyd 1982; Arthur & Vassilvitskii 2007.
    """
    rows = check_rows(rows, "rows")
    if not 1 <= count <= len(rows):
        raise ConfigError(f"{count} clusters of {len(rows)} rows are not possible; use 1 to {len(rows)}")
    centres, before = _spread(rows, count, seed), np.full(len(rows), -1)
    for _ in range(rounds):
        cells = nearest(rows, centres).indices[:, 0]
        if np.array_equal(cells, before):
            break
        before = cells
        members = [np.flatnonzero(cells == cell) for cell in range(len(centres))]
        centres = np.stack([np.asarray(rows[of], np.float64).mean(axis=0) for of in members if len(of)])
    return centres


def check_rows(rows: np.ndarray, name: str) -> np.ndarray:
    """`rows`, if they are (N, D) finite numbers with N and D above 0; else ConfigError or DataError naming them."""
    if rows.ndim != 2 or 0 in rows.shape or not np.issubdtype(rows.dtype, np.number):
        raise ConfigError(
            f"{name} of {rows.dtype} {rows.shape} are not rows of features; use (N, D), neither of them 0"
        )
    for start in range(0, len(rows), REFERENCES):
        finite = np.isfinite(rows[start : start + REFERENCES]).all(axis=1)
        if not finite.all():
            raise DataError(f"row {start + int(finite.argmin())} of {name} is not finite; look for what made it so")
    return rows


@dataclass(frozen=True)
class _Frame:
    """Where and how large the references are: rows are centred and scaled by it before they lose digits."""

    centre: np.ndarray  # (D,)
    scale: float

    @classmethod
    def of(cls, references: np.ndarray) -> _Frame:
        centre = np.asarray(references[:REFERENCES], np.float64).mean(axis=0)  # any point among them will do
        tiles = (references[start : start + REFERENCES] for start in range(0, len(references), REFERENCES))
        return cls(centre, max(float(np.abs(tile - centre).max()) for tile in tiles) or 1.0)

    def place(self, rows: np.ndarray, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """(n, D) rows in the frame, and their lengths (n,)."""
        placed = torch.from_numpy((np.asarray(rows, np.float64) - self.centre) / self.scale)
        return placed.to(dtype), placed.norm(dim=1).to(dtype)


def _search(
    queries: np.ndarray, references: np.ndarray, frame: _Frame, k: int, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances of one tile of queries: in float32, and again in float64 for rows left in doubt."""
    indices, distances, sure = _ranked(queries, references, frame, k, exclude, torch.float32)
    doubtful = np.flatnonzero(~sure)
    if len(doubtful):
        barred = None if exclude is None else exclude[doubtful]
        again = _ranked(queries[doubtful], references, frame, k, barred, torch.float64)
        indices[doubtful], distances[doubtful] = again[:2]
    return indices, distances


def _ranked(queries, references, frame, k, exclude, dtype):
    """Indices (n, k), distances (n, k), and whether no reference that was dropped can be as near (n,)."""
    candidates, dropped = _candidates(queries, references, frame, k, exclude, dtype)
    indices, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    size = max(1, REFINED // (candidates.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), size):
        part = np.sort(candidates[start : start + size], axis=1)  # by index, so that a stable sort breaks ties by it
        apart = np.asarray(references[part], np.float64) - queries[start : start + size, None]  # (n, m, D)
        squares = np.square(apart).sum(axis=2)
        best = np.argsort(squares, axis=1, kind="stable")[:, :k]
        indices[start : start + size] = np.take_along_axis(part, best, axis=1)
        distances[start : start + size] = np.sqrt(np.take_along_axis(squares, best, axis=1))
    return indices, distances, np.square(distances[:, -1] / frame.scale) < dropped


def _candidates(queries, references, frame, k, exclude, dtype) -> tuple[np.ndarray, np.ndarray]:
    """Indices (n, m) of the references that may be nearest, and a bound (n,) that no other's squared distance is below.

    m is k + SPARE, or all that there are. The bound is infinite when nothing was dropped.
    """
    allowed = len(references) - (exclude is not None)
    most = min(k + SPARE, allowed)
    placed, lengths = frame.place(queries, dtype)
    best = torch.full((len(queries), most), torch.inf, dtype=dtype)
    indices = torch.full((len(queries), most), -1)
    # rounding of a product of D terms, and of the sums around it, in units of (|q| + |r|)² (Higham 2002, section 3.1)
    error = (queries.shape[1] + 16) * torch.finfo(dtype).eps
    for start in range(0, len(references), REFERENCES):
        others, sizes = frame.place(references[start : start + REFERENCES], dtype)
        squares = torch.addmm(lengths.square()[:, None] + sizes.square(), placed, others.T, alpha=-2)
        bound = squares - error * (lengths[:, None] + sizes).square()
        if exclude is not None:
            _bar(bound, torch.from_numpy(exclude) - start)
        near, places = bound.topk(min(most, len(others)), largest=False, sorted=False)
        best, kept = torch.cat([best, near], dim=1).topk(most, largest=False, sorted=False)
        indices = torch.cat([indices, places + start], dim=1).gather(1, kept)
    dropped = best.amax(dim=1).double() if allowed > most else torch.full((len(queries),), torch.inf).double()
    return indices.numpy(), dropped.numpy()


def _bar(bound: Tensor, columns: Tensor) -> None:
    """Put the excluded reference of each query, where it lies in this tile, out of reach."""
    rows = torch.nonzero((columns >= 0) & (columns < bound.shape[1]))[:, 0]
    bound[rows, columns[rows]] = torch.inf


def _check_pair(queries: np.ndarray, references: np.ndarray, k: int, exclude: np.ndarray | None) -> None:
    if queries.shape[1] != references.shape[1]:
        raise ConfigError(
            f"queries of {queries.shape[1]} features and references of {references.shape[1]} cannot be compared; "
            "use one feature space for both"
        )
    allowed = len(references) - (exclude is not None)
    if not 1 <= k <= allowed:
        raise ConfigError(f"k={k} neighbours cannot be found among {allowed}; use 1 to {allowed}, or more references")
    if exclude is not None and exclude.shape != (len(queries),):
        raise ConfigError(
            f"exclude of shape {exclude.shape} does not name one reference for each of {len(queries)} rows"
        )


def _spread(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(count, D) rows far from one another: k-means++."""
    random = generator(seed, "clusters")
    chosen = [int(random.integers(len(rows)))]
    squares = np.full(len(rows), np.inf)
    while len(chosen) < count:
        squares = np.minimum(squares, nearest(rows, rows[chosen[-1:]]).distances[:, 0] ** 2)
        total = squares.sum()
        weights = squares / total if total > 0 else None  # all rows alike: any of them will do
        chosen.append(int(random.choice(len(rows), p=weights)))
    return np.asarray(rows[chosen], np.float64)
