"""Which images meet, on which side, and where the gold trials are: balanced, random, and the same for a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ...errors import ConfigError
from ...rng import generator
from .key import REAL, Shown, Trial


@dataclass(frozen=True)
class Question:
    """One trial before it has ids: what is shown, left to right, and which of it is the answer of a gold trial."""

    shown: tuple[Shown, ...]
    gold: int | None = None


def pairwise(sizes: Sequence[int], *, trials: int, gold: int, seed: int, matched: bool = False) -> list[Question]:
    """Trials between sources with `sizes` images, and `gold` more in which one side is scrambled.

    Every pair of sources comes equally often, give or take one, and stands each way round equally often. An image is
    used again only when all of its source were used, and no two images meet twice.
    matched   compare equal rows only: they show the same description
    Raises ConfigError when there are too few images for so many trials.
    """
    rng = generator(seed, "pairwise trials")
    pairs = list(combinations(range(len(sizes)), 2))
    questions = []
    for (first, second), count in zip(pairs, _shared_out(trials, len(pairs), rng), strict=True):
        rows = _meetings(sizes[first], sizes[second], count, rng, matched=matched)
        for (left, right), turned in zip(rows, _halves(count, rng), strict=True):
            sides = (Shown(first, left), Shown(second, right))
            questions.append(Question(sides[::-1] if turned else sides))
    for turned in _halves(gold, rng):
        source = int(rng.integers(len(sizes)))
        row = int(rng.integers(sizes[source]))
        sides = (Shown(source, row), Shown(source, row, scrambled=True))
        questions.append(Question(sides[::-1] if turned else sides, gold=int(turned)))
    return questions


def real_or_fake(real: int, made: Sequence[int], *, trials: int, gold: int, seed: int) -> list[Question]:
    """Half the trials show real images, half made ones, shared out evenly over the sources; none shows one twice.

    gold   further trials with a scrambled real image, which nobody should take for real
    Raises ConfigError when there are too few images for so many trials.
    """
    rng = generator(seed, "real or fake trials")
    of_real = trials // 2
    rows = _rows(real, of_real + gold, "real images", rng)
    questions = [Question((Shown(REAL, row),)) for row in rows[:of_real]]
    questions += [Question((Shown(REAL, row, scrambled=True),), gold=0) for row in rows[of_real:]]
    for source, count in enumerate(_shared_out(trials - of_real, len(made), rng)):
        rows = _rows(made[source], count, f"images of source {source + 1}", rng)
        questions += [Question((Shown(source, row),)) for row in rows]
    return questions


def _rows(have: int, need: int, what: str, rng: np.random.Generator) -> list[int]:
    if need > have:
        raise ConfigError(f"so many trials need {need:,} {what}, of which there are {have:,}; ask for fewer trials")
    return [int(row) for row in rng.permutation(have)[:need]]


def scramble(image: np.ndarray, *, seed: int, index: int) -> np.ndarray:
    """(H, W, C) uint8 with its pixels in random order: the same colours, and nothing to be seen."""
    pixels = image.reshape(-1, image.shape[2])
    return pixels[generator(seed, "scramble", index).permutation(len(pixels))].reshape(image.shape)


@dataclass(frozen=True)
class Named:
    """A plan with ids that tell nothing: of images and of trials, each sorted, so that order tells nothing either."""

    images: Mapping[str, Shown]
    trials: Mapping[str, Trial]


def named(questions: Sequence[Question], *, seed: int) -> Named:
    """Give every image and every trial an opaque id."""
    shown = list(dict.fromkeys(one for question in questions for one in question.shown))
    ids = _ids(len(shown) + len(questions), seed)
    of_image = dict(zip(shown, ids, strict=False))
    trials = {}
    for name, question in zip(ids[len(shown) :], questions, strict=True):
        images = tuple(of_image[one] for one in question.shown)
        gold = None if question.gold is None else images[question.gold] if len(images) == 2 else "fake"
        trials[name] = Trial(images, gold)
    by_id = {name: one for one, name in of_image.items()}
    return Named({name: by_id[name] for name in sorted(by_id)}, {name: trials[name] for name in sorted(trials)})


def _ids(count: int, seed: int) -> list[str]:
    """Distinct ids of 16 hexadecimal digits."""
    rng = generator(seed, "opaque ids")
    ids: dict[str, None] = {}
    while len(ids) < count:
        ids[rng.bytes(8).hex()] = None
    return list(ids)


def _shared_out(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """`total` in equal parts; what is left over goes to parts at random."""
    counts = np.full(parts, total // parts)
    counts[rng.permutation(parts)[: total % parts]] += 1
    return [int(count) for count in counts]


def _halves(count: int, rng: np.random.Generator) -> list[bool]:
    """So many booleans in random order, half of them true; of an odd number the last is drawn."""
    return [bool(k) for k in rng.permutation((np.arange(count) + rng.integers(2)) % 2)]


def _meetings(first: int, second: int, count: int, rng: np.random.Generator, *, matched: bool) -> list[tuple[int, int]]:
    """(row of the first, row of the second) for `count` meetings, all different."""
    most = min(first, second) if matched else first * second
    if count > most:
        raise ConfigError(
            f"{count:,} trials on one pair of sources need as many different pairs of images, but {first:,} and "
            f"{second:,} images make {most:,}; ask for fewer trials or give more images"
        )
    if matched:
        return [(int(row), int(row)) for row in rng.permutation(most)[:count]]
    left, right = rng.permutation(first), rng.permutation(second)
    # both decks are gone through side by side; after each common multiple of their lengths one is shifted by a card
    around = math.lcm(first, second)
    return [(int(left[t % first]), int(right[(t + t // around) % second])) for t in range(count)]
