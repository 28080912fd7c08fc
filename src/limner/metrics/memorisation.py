"""Whether generated images are copies of training images: distances to training images against a baseline.

A copy lies near its training image. But so does any smooth image: an average is nearer to every image than images are
to each other. So measures that hold distances to training images against those of held-out images are reported, and
a verdict (verdict.py) rests on two questions that smoothness does not sway:

- Of all real images, trained on and held out together, is a training image the nearest one more often than by chance?
  What is beyond chance is the **copied share**.
- Is the nearest training image less than a third as far as the second nearest? Such are **close copies**.

Rows are features or pixels (neighbours.py). It knows no models and no files; data_copying.py has C_T.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError, DataError
from ..rng import generator
from .neighbours import Neighbours, check_rows, nearest
from .shares import difference, wilson

CLOSE = 1 / 3  # of the distance to the second nearest. Sources: Yoon et al. 2023; Gu et al. 2023, arXiv 2310.02664
BASELINE = 2_000  # real images of either kind that stand for all where their own neighbours are looked for
FEWEST_TRAIN = 3  # one, its nearest and its second nearest
RESAMPLES = 1_000


@dataclass(frozen=True)
class Estimate:
    """A number, its interval, and what it would be for images that are no copies, where that is known."""

    value: float
    low: float
    high: float
    expected: float | None = None


@dataclass(frozen=True)
class Nearness:
    """Where generated images lie among real ones.

    generated     each generated image's two nearest training images
    own           (M,) distance of each training image to the nearest other one; NaN where nothing needs it
    training      the two nearest other training images of up to 2,000 training images
    held_out      the two nearest training images of up to 2,000 held-out ones; None, as what follows, without those
    to_held_out, training_to_held_out   the nearest held-out image of each generated, and of those training images
    """

    generated: Neighbours
    own: np.ndarray
    training: Neighbours
    held_out: Neighbours | None = None
    to_held_out: Neighbours | None = None
    training_to_held_out: Neighbours | None = None
    held_out_count: int = 0

    @property
    def baseline(self) -> Neighbours:
        """Where real images that the model did not copy lie among training images."""
        return self.training if self.held_out is None else self.held_out


def nearness(
    generated: np.ndarray, train: np.ndarray, held_out: np.ndarray | None = None, *, seed: int = 0
) -> Nearness:
    """Find neighbours among (N, D) generated rows, (M, D) training rows and, where there are any, (H, D) held-out rows.

    Raises DataError for fewer than 3 training images, and as `nearest` does.
    """
    if len(train) < FEWEST_TRAIN:
        raise DataError(f"{len(train)} training images have no neighbours to compare with; {FEWEST_TRAIN} is the least")
    train = check_rows(train, "training images")
    near = nearest(generated, train, k=2)
    chosen = _some(len(train), seed)
    training = nearest(train[chosen], train, k=2, exclude=chosen)
    if held_out is None:
        return Nearness(near, _own(train, near), training)
    others = nearest(held_out[_some(len(held_out), seed)], train, k=2)
    return Nearness(
        near,
        _own(train, near, others),
        training,
        held_out=others,
        to_held_out=nearest(generated, held_out),
        training_to_held_out=nearest(train[chosen], held_out),
        held_out_count=len(held_out),
    )


def _some(count: int, seed: int) -> np.ndarray:
    """Up to 2,000 of so many rows, in order."""
    return np.sort(generator(seed, "memorisation baseline").permutation(count)[:BASELINE])


def _own(train: np.ndarray, *near: Neighbours) -> np.ndarray:
    """(M,) distance of training images to their nearest others, for those that are nearest to something."""
    hubs = np.unique(np.concatenate([found.indices[:, 0] for found in near]))
    own = np.full(len(train), np.nan)
    own[hubs] = nearest(train[hubs], train, exclude=hubs).distances[:, 0]
    return own


def authenticity(near: Nearness, *, level: float = 0.95) -> Estimate:
    """AuthPct: the share of generated images that are farther from their nearest training image than that is from its
    own nearest. Low for copies, and for smooth images.

    Source: Alaa et al. 2022, How faithful is your synthetic data?, arXiv 2102.08921, section 3.4.
    """
    authentic = _authentic(near.generated, near.own)
    share, count = float(authentic.mean()), _trials(authentic, near.generated.indices[:, 0])
    expected = None if near.held_out is None else float(_authentic(near.held_out, near.own).mean())
    return Estimate(share, *wilson(share, count, level=level), expected=expected)


def _authentic(near: Neighbours, own: np.ndarray) -> np.ndarray:
    return near.distances[:, 0] > own[near.indices[:, 0]]


def near_duplicates(near: Nearness, *, quantile: float = 0.01, level: float = 0.95) -> Estimate:
    """The share of generated images nearer to a training image than all but a share `quantile` of the baseline is.

    Images that are no copies give `quantile`, unless they are smooth. Raises ConfigError for a quantile that the
    baseline is too small to have.
    """
    distances = near.baseline.distances[:, 0]
    if not 0 < quantile < 1 or quantile * len(distances) < 1 - 1e-9:
        raise ConfigError(
            f"quantile={quantile} cannot be read off {len(distances)} distances; use {1 / len(distances):.2g} to 1"
        )
    within = near.generated.distances[:, 0] <= np.quantile(distances, quantile, method="lower")
    count = _trials(within, near.generated.indices[:, 0])
    return Estimate(float(within.mean()), *wilson(float(within.mean()), count, level=level), expected=quantile)


def close_copies(near: Nearness, *, level: float = 0.95) -> Estimate:
    """How much larger the share of close copies is among generated images than among real ones, which are none.

    Close: the nearest training image is less than a third as far as the second nearest. The interval is that of the
    difference of both shares.
    """
    return _excess(near, is_close, level)


def exact_copies(near: Nearness, *, level: float = 0.95) -> Estimate:
    """As `close_copies`, of images that equal a training image."""
    return _excess(near, is_exact, level)


def _excess(near: Nearness, kind: Callable[[Neighbours], np.ndarray], level: float) -> Estimate:
    """By how much the share of a kind is larger among generated images than among real ones."""
    seen, others = kind(near.generated), real(near, kind)
    share, other_share = float(seen.mean()), float(others.mean())
    count = _trials(seen, near.generated.indices[:, 0])
    low, high = difference(share, count, other_share, len(others), level=level)
    return Estimate(share - other_share, low, high, expected=0.0)


def real(near: Nearness, kind: Callable[[Neighbours], np.ndarray]) -> np.ndarray:
    """Which real images are of a kind: training images, each among the others, and held-out ones."""
    return np.concatenate([kind(side) for side in (near.training, near.held_out) if side is not None])


def is_exact(near: Neighbours) -> np.ndarray:
    """(N,) whether the nearest is equal."""
    return near.distances[:, 0] == 0


def is_close(near: Neighbours) -> np.ndarray:
    """(N,) whether the nearest is less than a third as far as the second nearest."""
    return near.distances[:, 0] < CLOSE * near.distances[:, 1]


def distance_ratio(near: Nearness, *, seed: int = 0, level: float = 0.95) -> Estimate:
    """Median distance of generated images to training images, over that of the baseline; far below 1 for copies.

    The interval is a bootstrap over both sides. Raises DataError when half of the baseline are copies themselves.
    """
    ours, theirs = near.generated.distances[:, 0], near.baseline.distances[:, 0]
    if np.median(theirs) == 0:
        raise DataError("half of the real images have an exact copy among the training images; remove duplicates first")
    random = generator(seed, "distance ratio")
    draws = _medians(ours, random) / np.maximum(_medians(theirs, random), theirs[theirs > 0].min())
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(np.median(ours) / np.median(theirs)), float(low), float(high), expected=1.0)


def copied_share(near: Nearness, *, level: float = 0.95) -> Estimate:
    """The share of generated images that a training image is nearest to beyond what chance explains.

    By chance, a training image is the nearest real one in a share p of all cases, which the sizes of both sides give,
    or the training images themselves where these keep to each other (held-out images of another kind). With a share
    s of copies the nearest is a training image in s + (1 - s) p. Many generated images around one real image count as
    few: Kish's effective number. An average of two training images counts too, so it may exceed `close_copies`.

    Raises ConfigError without held-out images.
    """
    if near.to_held_out is None or near.training_to_held_out is None:
        raise ConfigError("the copied share needs held-out images; without them use close_copies")
    sizes = len(near.own), near.held_out_count
    share, count = _side(near.generated, near.to_held_out, sizes[0])
    chance = _chance(near, sizes)
    low, high = wilson(share, count, level=level)
    value, low, high = ((part - chance) / (1 - chance) for part in (share, low, high))
    return Estimate(value, low, high, expected=0.0)


def _chance(near: Nearness, sizes: tuple[int, int]) -> float:
    """How often a training image is nearest to an image that is no copy of any."""
    among, count = _side(near.training, near.training_to_held_out, sizes[0])  # type: ignore[arg-type]
    by_size = (sizes[0] - 1) / (sum(sizes) - 1)  # a training image is not its own neighbour
    own_kind = (wilson(among, count, level=0.99)[0] - by_size) / (1 - by_size)
    chance = sizes[0] / sum(sizes)
    return chance + max(0.0, own_kind) * (1 - chance)


def _side(to_train: Neighbours, to_others: Neighbours, train_count: int) -> tuple[float, float]:
    """How often the nearest is a training image, ties counting half, and of how many independent images."""
    ours, theirs = to_train.distances[:, 0], to_others.distances[:, 0]
    owner = np.where(ours <= theirs, to_train.indices[:, 0], train_count + to_others.indices[:, 0])
    return float(((np.sign(theirs - ours) + 1) / 2).mean()), _effective(owner)


def _effective(owners: np.ndarray) -> float:
    """Kish's effective number of independent images, when those of one owner stand or fall together."""
    counts = np.unique(owners, return_counts=True)[1].astype(np.float64)
    return float(counts.sum() ** 2 / np.square(counts).sum())


def _trials(seen: np.ndarray, owners: np.ndarray) -> float:
    """How many independent images would leave the mean of `seen` (N,) as uncertain, when those of one owner are alike.

    By the variance between owners. At least Kish's number, as if all of an owner were the same; at most N.
    """
    mean, owned = seen.mean(), np.unique(owners, return_inverse=True)[1]
    fewest = _effective(owners)
    between = np.square(np.bincount(owned, seen - mean)).sum() / len(seen) ** 2
    if between == 0 or fewest <= 1:
        return fewest
    return float(np.clip(mean * (1 - mean) / between * (fewest - 1) / fewest, fewest, len(seen)))


def _medians(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(RESAMPLES,) medians of bootstrap resamples, a few at a time."""
    size = max(1, (1 << 20) // len(values))
    parts = [
        np.median(values[random.integers(len(values), size=(min(size, RESAMPLES - start), len(values)))], axis=1)
        for start in range(0, RESAMPLES, size)
    ]
    return np.concatenate(parts)
