"""What the votes say: a ranking of sources, or how often people took made pictures for real, and how far to trust it.

Gold trials never count; they decide which raters do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from ...errors import DataError
from ...metrics.agreement import MISSING, Agreement, RealOrFake, krippendorff_alpha, real_or_fake, wilson
from ...metrics.number import Interval, Number, Protocol
from ...metrics.ranking import ELO, Comparisons, Ranking, rank_by_bootstrap
from ...metrics.raters import ENOUGH
from .key import REAL, Key
from .votes import Ballot, Vote

CENTRE = 1000  # Elo points of the mean of all sources
MIN_GOLD = 0.8  # share of gold trials that a rater must answer rightly to be counted


@dataclass(frozen=True)
class Rater:
    """One rater, and whether the votes count.

    gold_right, gold_seen   gold trials answered rightly, and answered at all
    left                    share of choices that fell on the left picture; None where there was no left
    """

    rater_id: str
    name: str
    votes: int
    gold_right: int
    gold_seen: int
    seconds: float
    left: float | None
    counted: bool


@dataclass(frozen=True)
class Preference:
    """The result of blind pairs.

    wins        (K, K)   votes that source i won against j; a tie is half a vote for both
    left_share  share of choices that fell on the left picture, near ½ when sides do not matter; `left` its interval
    agreement   of raters about the same trials; None when no trial was seen by two
    """

    sources: tuple[str, ...]
    ranking: Ranking
    wins: np.ndarray
    left_share: float
    left: Interval
    agreement: Agreement | None
    raters: tuple[Rater, ...]


@dataclass(frozen=True)
class Deception:
    """The result of real-or-fake, of all sources together and of each against the same real images."""

    sources: tuple[str, ...]
    together: RealOrFake
    each: tuple[RealOrFake, ...]
    agreement: Agreement | None
    raters: tuple[Rater, ...]


def rank(
    ballots: Sequence[Ballot], key: Key, *, min_gold: float = MIN_GOLD, seed: int = 0, level: float = 0.95
) -> Preference:
    """Rank the sources by the votes of all raters who passed the gold trials.

    Raises DataError when no votes are left or some sources were never compared with the rest.
    """
    raters, counted = _counted(ballots, key, min_gold)
    rows = []
    for who, vote in counted:
        first, second = (key.images[one].source for one in vote.shown)
        rows.append((first, second, 0 if vote.left is None else 1 if vote.left else -1, who))
    first, second, outcome, rater = np.array(rows).T
    ranking = rank_by_bootstrap(Comparisons(len(key.sources), first, second, outcome, rater), seed=seed, level=level)
    wins = np.zeros((len(key.sources), len(key.sources)))
    np.add.at(wins, (first, second), (1 + outcome) / 2)
    np.add.at(wins, (second, first), (1 - outcome) / 2)
    sided = outcome[outcome != 0]
    lefts, of = int((sided > 0).sum()), max(len(sided), 1)
    agreement = _agreement(counted, key, seed, level)
    return Preference(key.sources, ranking, wins, lefts / of, wilson(lefts, of, level=level), agreement, raters)


def unmask(
    ballots: Sequence[Ballot], key: Key, *, min_gold: float = MIN_GOLD, seed: int = 0, level: float = 0.95
) -> Deception:
    """How often each source was taken for real, by all raters who passed the gold trials.

    Raises DataError when no votes are left, or none on real images or on those of some source.
    """
    raters, counted = _counted(ballots, key, min_gold)
    source = np.array([key.images[vote.shown[0]].source for _, vote in counted])
    said_real = np.array([vote.chosen == "real" for _, vote in counted])
    rater = np.array([who for who, _ in counted])
    is_real = source == REAL

    def judged(rows: np.ndarray) -> RealOrFake:
        return real_or_fake(is_real[rows], said_real[rows], rater[rows], seed=seed, level=level)

    each = tuple(judged(is_real | (source == k)) for k in range(len(key.sources)))
    everything = judged(np.ones(len(source), bool))
    return Deception(key.sources, everything, each, _agreement(counted, key, seed, level), raters)


def preference_numbers(result: Preference, key: Key) -> dict[str, Number]:
    """Source -> its strength in Elo points, the mean of all at 1,000, as a number with protocol and interval."""
    notes = _notes(result.raters)
    if result.ranking.strengths.regularised:
        notes += ("A source won or lost all its votes, so its strength was held by a prior; gather more votes.",)
    numbers = {}
    places, shown = result.ranking.places(), result.wins.sum(axis=0) + result.wins.sum(axis=1)
    for k, name in enumerate(result.sources):
        interval = result.ranking.intervals[k]
        numbers[name] = Number(
            "human preference",
            CENTRE + ELO * float(result.ranking.strengths.theta[k]),
            "higher",
            _protocol("human preference (Davidson)", key, result.raters),
            Interval(CENTRE + ELO * interval.low, CENTRE + ELO * interval.high, interval.level, interval.method),
            "Elo",
            notes,
            {
                "places": list(places[k]),
                "votes won": float(result.wins[k].sum()),
                "votes": float(shown[k]),
            },
        )
    return numbers


def deception_numbers(result: Deception, key: Key) -> dict[str, Number]:
    """Source -> the error rate of raters (HYPE∞) as a number with protocol and interval; ½ is the best there is."""
    return {
        name: Number(
            "human error rate",
            judged.error,
            "higher",
            _protocol("real or fake", key, result.raters),
            judged.error_interval,
            "",
            _notes(result.raters),
            {"taken for real": judged.fooled, "real images taken for made": judged.missed, "votes": judged.votes},
        )
        for name, judged in zip(result.sources, result.each, strict=True)
    }


def _protocol(metric: str, key: Key, raters: Sequence[Rater]) -> Protocol:
    counted = [rater for rater in raters if rater.counted]
    settings = {
        "question": key.question,
        "page": key.page,
        "raters": len(counted),
        "votes": sum(rater.votes for rater in counted),
        "ties": key.ties,
    }
    if key.limit_seconds is not None:
        settings["limit_seconds"] = key.limit_seconds
    return Protocol(metric=metric, generated=len(key.images), seed=key.seed, settings=settings)


def _notes(raters: Sequence[Rater]) -> tuple[str, ...]:
    counted = sum(rater.counted for rater in raters)
    notes = []
    if counted < ENOUGH:
        notes.append(f"Only {counted} raters: the interval speaks of them, not of people at large.")
    if counted < len(raters):
        notes.append(f"{len(raters) - counted} of {len(raters)} raters failed the gold trials and were left out.")
    return tuple(notes)


def _counted(ballots: Sequence[Ballot], key: Key, min_gold: float) -> tuple[tuple[Rater, ...], list[tuple[int, Vote]]]:
    """Every rater, and the (rater number, vote) that count."""
    raters, counted = [], []
    for ballot in ballots:
        gold = [vote for vote in ballot.votes if key.trials[vote.trial].gold is not None]
        plain = [vote for vote in ballot.votes if key.trials[vote.trial].gold is None]
        right = sum(vote.chosen == key.trials[vote.trial].gold for vote in gold)
        keep = bool(plain) and (not gold or right >= min_gold * len(gold))
        sides = [vote.left for vote in ballot.votes if vote.left is not None]
        seconds = median(vote.ms for vote in ballot.votes) / 1000 if ballot.votes else 0.0
        left = sum(sides) / len(sides) if sides else None
        raters.append(Rater(ballot.rater_id, ballot.name, len(plain), right, len(gold), seconds, left, keep))
        if keep:
            who = sum(rater.counted for rater in raters) - 1
            counted += [(who, vote) for vote in plain]
    if not counted:
        raise DataError(f"no votes are left of {len(ballots)} raters: they gave none, or failed the gold trials")
    return tuple(raters), counted


def _agreement(counted: Sequence[tuple[int, Vote]], key: Key, seed: int, level: float) -> Agreement | None:
    """Krippendorff's alpha over trials; a label is the chosen image's place in the key's trial, or what was said."""
    trials = {name: column for column, name in enumerate(key.trials)}
    ratings = np.full((1 + max(who for who, _ in counted), len(trials)), MISSING)
    for who, vote in counted:
        if key.mode == "pairwise":
            label = 2 if vote.chosen is None else key.trials[vote.trial].images.index(vote.chosen)
        else:
            label = int(vote.chosen == "real")
        ratings[who, trials[vote.trial]] = label
    if ((ratings != MISSING).sum(axis=0) < 2).all():
        return None
    return krippendorff_alpha(ratings, seed=seed, level=level)
