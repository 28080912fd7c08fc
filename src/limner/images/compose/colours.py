"""Colours of one picture made to fit another: mean and covariance carried over, by the shortest way."""

from __future__ import annotations

import numpy as np

_LEAST = 1.0  # variance in levels², below which a colour counts as flat


def harmonised(over: np.ndarray, under: np.ndarray, mask: np.ndarray, *, strength: float = 0.5) -> np.ndarray:
    """`over` with its colours inside the mask moved toward those of `under` outside of it.

    strength   0 leaves it, 1 gives it the mean and covariance of its surroundings
    Source: Pitié and Kokaram 2007, The linear Monge-Kantorovitch colour mapping; Reinhard et al. 2001 for the idea.
    """
    inside = mask > 0.5
    around = under[~inside] if (~inside).any() else under.reshape(-1, under.shape[2])
    if not inside.any() or strength == 0:
        return over.copy()
    moved = transported(over.reshape(-1, over.shape[2]), over[inside], around).reshape(over.shape)
    return over + strength * (moved - over)


def transported(colours: np.ndarray, of: np.ndarray, to: np.ndarray) -> np.ndarray:
    """(N, C) colours moved by the optimal map between the Gaussians of two sets of colours, (n, C) and (m, C)."""
    first, second = _moments(of), _moments(to)
    root = _root(first[1])
    back = np.linalg.inv(root)
    matrix = back @ _root(root @ second[1] @ root) @ back
    return (colours - first[0]) @ matrix.T + second[0]


def _moments(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    centred = colours - colours.mean(axis=0)
    return colours.mean(axis=0), centred.T @ centred / len(colours) + _LEAST * np.eye(colours.shape[1])


def _root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
