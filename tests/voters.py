"""Votes as the page would save them, by raters whose minds are known: no browser needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limner.evaluation.people import Key
from limner.rng import generator

Choose = Callable[[tuple[str, ...], np.random.Generator], str]  # images as shown, left to right -> choice


def saved(key: Key, choose: Choose, *, rater: int = 0, trials: int | None = None) -> dict[str, Any]:
    """What one rater's file holds; an odd rater sees all sides turned, as an odd order seed does it."""
    rng = generator(3, "voter", rater)
    votes = []
    for name, trial in list(key.trials.items())[:trials]:
        shown = trial.images[::-1] if rater % 2 and key.mode == "pairwise" else trial.images
        votes.append({"trial": name, "shown": list(shown), "choice": choose(shown, rng), "ms": 900 + rater})
    return {
        "format": "limner-people-votes", "version": 1, "page": key.page, "mode": key.mode,
        "rater_id": f"{rater:016x}", "rater": f"rater {rater}", "order_seed": rater,
        "started": "2030-01-01T10:00:00.000Z", "saved": "2030-01-01T10:09:00.000Z",
        "complete": len(votes) == len(key.trials), "votes": votes,
    }  # fmt: skip


def by_taste(key: Key, taste: Mapping[int, float], ties: float = 0.0) -> Choose:
    """Chooses as the Davidson model does; scrambled pictures always lose."""

    def choose(shown: tuple[str, ...], rng: np.random.Generator) -> str:
        left, right = (-np.inf if key.images[one].scrambled else taste[key.images[one].source] for one in shown)
        if np.inf in (abs(left), abs(right)):
            return "left" if left > right else "right"
        odds = np.exp((left - right) / 2)
        draw = rng.random() * (odds + 1 / odds + ties)
        return "left" if draw < odds else "right" if draw < odds + 1 / odds else "tie"

    return choose


def by_eye(key: Key, realism: Mapping[int, float]) -> Choose:
    """Says `real` with a chance that depends on the source (-1: real images); never of scrambled pictures."""

    def choose(shown: tuple[str, ...], rng: np.random.Generator) -> str:
        image = key.images[shown[0]]
        return "real" if not image.scrambled and rng.random() < realism[image.source] else "fake"

    return choose


def write(folder: Path, ballots: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Each ballot as a file of that name."""
    paths = []
    for name, ballot in ballots.items():
        (folder / name).write_text(json.dumps(ballot), encoding="utf-8")
        paths.append(folder / name)
    return paths
