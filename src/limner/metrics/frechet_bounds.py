"""Lower bounds of a Fréchet distance that hold for any number of rows, on average: what is measured is the upper one.

They do not need the covariances of the samples to be near the true ones. Where there are fewer rows than dimensions
nothing else can be said of the distance without assumptions on the spectrum.
"""

from __future__ import annotations

import numpy as np

from .bootstrap import group_numbers
from .frechet import Side

FOLDS = 4
SMALLEST = 1e-12  # share of the identity in a covariance that is drawn towards it, so that it can be inverted
NOTHING = 1e-300


def trace_bound(a: Side, b: Side) -> tuple[float, float]:
    """(bound, standard error): the squared distance is at least |mean - mean'|² + (√tr C - √tr C')²."""
    noise = a.covariance / a.count + b.covariance / b.count
    shift = a.mean - b.mean
    means = float(np.square(shift).sum() - np.trace(noise))
    gap = np.sqrt(a.trace) - np.sqrt(b.trace)
    # tr C of a Gaussian sample has the variance 2 |C|² / N, and √t the slope 1 / (2 √t)
    of_gap = sum(
        float(np.square(side.covariance).sum()) / (2 * side.count * max(side.trace, 1e-300)) for side in (a, b)
    )
    variance = 4 * float(shift @ noise @ shift) + 2 * float(np.square(noise).sum())
    return means + float(gap * gap), float(np.sqrt(variance) + 2 * abs(gap) * np.sqrt(of_gap))


def transport_bound(a: np.ndarray, b: np.ndarray, *, folds: int = FOLDS, seed: int = 0) -> tuple[float, float]:
    """(bound, standard error): a lower bound of the squared distance, without bias for any number of rows.

    For every positive definite T the squared distance is at least |mean - mean'|² + tr (C - T C) + tr (C' - T⁻¹ C'),
    with equality for the map that carries one Gaussian onto the other. T is found on all folds of the rows but one,
    from covariances drawn towards a multiple of the identity, and the traces are taken on that one.
    Source: Kantorovich duality with quadratic potentials; Ledoit and Wolf 2004 for the covariances.
    """
    left, right = _in_their_span(a, b)
    numbers = [
        group_numbers(len(rows), folds, seed=seed, purpose=f"folds of the {name} side")
        for rows, name in ((left, "first"), (right, "second"))
    ]
    costs: list[list[np.ndarray]] = [[], []]
    for fold in range(folds):
        trained, held = (
            [rows[(number == fold) == out] for rows, number in zip((left, right), numbers, strict=True)]
            for out in (False, True)
        )
        for found, cost in zip(costs, _costs(trained, held), strict=True):
            found.append(cost)
    shift = left.mean(axis=0) - right.mean(axis=0)
    noise = sum(float(rows.var(axis=0, ddof=1).sum()) / len(rows) for rows in (left, right))
    bound = float(np.square(shift).sum()) - noise + sum(np.mean([cost.mean() for cost in part]) for part in costs)
    spread = sum(
        float(np.concatenate([cost - cost.mean() for cost in part]).var()) / sum(map(len, part)) for part in costs
    )
    along = sum(float(np.square((rows - rows.mean(axis=0)) @ shift).mean()) / len(rows) for rows in (left, right))
    return float(bound), float(np.sqrt(spread) + 2 * np.sqrt(along))


def _in_their_span(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sets of rows in an orthonormal basis of all they vary in and of what parts their means: float64, (N, r)."""
    left, right = np.asarray(a, np.float64), np.asarray(b, np.float64)
    centre = left.mean(axis=0)
    left, right = left - centre, right - centre
    if len(left) + len(right) >= left.shape[1]:
        return left, right
    basis, _ = np.linalg.qr(np.concatenate([left, right]).T)
    return left @ basis, right @ basis


def _costs(trained: list[np.ndarray], held: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """xᵀ (1 - T) x of each held-out row of the first side and xᵀ (1 - T⁻¹) x of the second, around their means.

    With C = L Lᵀ and Lᵀ C' L = V diag(w) Vᵀ the map is T = L⁻ᵀ V diag(√w) Vᵀ L⁻¹.
    """
    lower = np.linalg.cholesky(_drawn_in(trained[0]))
    values, vectors = np.linalg.eigh(lower.T @ _drawn_in(trained[1]) @ lower)
    stretch = np.sqrt(np.maximum(values, SMALLEST * values[-1]))
    left, right = (_centred(rows) for rows in held)
    along = np.linalg.solve(lower, left.T).T @ vectors
    back = right @ lower @ vectors
    return (
        np.square(left).sum(axis=1) - np.square(along) @ stretch,
        np.square(right).sum(axis=1) - np.square(back) @ (1 / stretch),
    )


def _centred(rows: np.ndarray) -> np.ndarray:
    """Rows less their mean, stretched so that their mean square is an unbiased variance."""
    return (rows - rows.mean(axis=0)) * np.sqrt(len(rows) / (len(rows) - 1))


def _drawn_in(rows: np.ndarray) -> np.ndarray:
    """The covariance (r, r) of rows, drawn towards a multiple of the identity by as much as it is noise.

    Source: Ledoit and Wolf 2004, A well-conditioned estimator for large-dimensional covariance matrices, section 3.
    """
    count, width = rows.shape
    held = rows - rows.mean(axis=0)
    covariance = held.T @ held / count
    size = max(float(np.trace(covariance)) / width, NOTHING)
    apart = float(np.square(covariance).sum()) - width * size * size
    noise = float(np.square(np.square(held).sum(axis=1)).sum()) / count**2 - float(np.square(covariance).sum()) / count
    share = min(1.0, max(noise / apart if apart > 0 else 1.0, SMALLEST))
    return (1 - share) * covariance + share * size * np.eye(width)
