"""Results of people's votes in words and as a page: what a reader needs to trust the ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ...metrics.number import Interval, Number
from ...metrics.ranking import votes_needed
from ..page.model import Entrant, Leaderboard
from ..page.words import brief_text, value_text
from .key import Key
from .result import Deception, Preference, Rater, deception_numbers, preference_numbers

Result = Preference | Deception


def numbers(result: Result, key: Key) -> dict[str, Number]:
    """Source -> its number."""
    return preference_numbers(result, key) if isinstance(result, Preference) else deception_numbers(result, key)


def facts(result: Result) -> dict[str, str]:
    """How much there was to go by, and signs that something was wrong with it: name -> words."""
    counted = [rater for rater in result.raters if rater.counted]
    votes = sum(rater.votes for rater in counted)
    said = {"votes": f"{votes:,} of {len(counted):,} raters"}
    said |= _of_pairs(result) if isinstance(result, Preference) else _of_single(result)
    if result.agreement is not None:
        said["agreement"] = f"{_with(result.agreement.value, result.agreement.interval)} (Krippendorff's alpha)"
    seconds = sorted(rater.seconds for rater in counted)
    said["seconds a question"] = brief_text(seconds[len(seconds) // 2])
    if left_out := [rater for rater in result.raters if not rater.counted]:
        said["left out"] = ", ".join(_why(rater) for rater in left_out)
    return said


def values(result: Result) -> dict[str, Any]:
    """The same for JSON."""
    shared = {
        "raters": [asdict(rater) for rater in result.raters],
        "agreement": None if result.agreement is None else asdict(result.agreement),
    }
    if isinstance(result, Preference):
        return shared | {"wins": result.wins.tolist(), "left_share": result.left_share, "left": asdict(result.left)}
    return shared | {"together": asdict(result.together)}


def board(result: Result, key: Key, *, commands: Sequence[str] = ()) -> Leaderboard:
    """The ranking as a leaderboard for `render_leaderboard`."""
    entrants = [Entrant(name, [number], facts=_details(number)) for name, number in numbers(result, key).items()]
    return Leaderboard(
        title=key.question,
        subtitle="Judged by people who did not know where the pictures came from.",
        entrants=entrants,
        facts=facts(result),
        notes=next(iter(numbers(result, key).values())).notes,
        commands=commands,
    )


def _of_pairs(result: Preference) -> dict[str, str]:
    ties = result.ranking.strengths.ties
    said = {"left picture chosen": _with(result.left_share, result.left)}
    if ties:
        said["ties"] = f"ν = {brief_text(ties)}"
    pairs = len(result.sources) * (len(result.sources) - 1) // 2
    if result.ranking.votes < pairs * votes_needed(0.1):
        said["for ± 10 points"] = (
            f"{votes_needed(0.1)} votes a pair are needed; there are {result.ranking.votes // pairs}"
        )
    return said


def _of_single(result: Deception) -> dict[str, str]:
    together = result.together
    d_primes = sorted(rater.d_prime for rater in together.raters)
    return {
        "errors over all": _with(together.error, together.error_interval),
        "made taken for real": _with(together.fooled, together.fooled_interval),
        "real taken for made": _with(together.missed, together.missed_interval),
        "d' of raters": " … ".join(dict.fromkeys(brief_text(d) for d in (d_primes[0], d_primes[-1]))),
    }


def _with(value: float, interval: Interval | None) -> str:
    if interval is None:
        return value_text(value)
    return (
        f"{value_text(value, interval)} ({' … '.join(value_text(v, interval) for v in (interval.low, interval.high))})"
    )


def _why(rater: Rater) -> str:
    name = rater.name or rater.rater_id[:8]
    if not rater.votes:
        return f"{name} (no votes)"
    return f"{name} ({rater.gold_right} of {rater.gold_seen} gold questions right)"


def _details(number: Number) -> Mapping[str, str]:
    if "votes won" not in number.details:
        return {"taken for real": f"{100 * number.details['taken for real']:.0f} %"}
    low, high = number.details["places"]
    place = f"{low}" if low == high else f"{low} to {high}"
    won = number.details["votes won"] / max(number.details["votes"], 1)
    return {"place": place, "votes won": f"{100 * won:.0f} %"}
