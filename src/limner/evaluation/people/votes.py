"""Votes that came back as JSON files. Anyone may have written them, so nothing is believed before it is checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError
from . import strict
from .key import Key

FORMAT, VERSION = "limner-people-votes", 1
MAX_BYTES = 16 << 20
MAX_MS = 7 * 24 * 3600 * 1000  # a week
_FIELDS = {
    "format",
    "version",
    "page",
    "mode",
    "rater_id",
    "rater",
    "order_seed",
    "started",
    "saved",
    "complete",
    "votes",
}
_CHOICES = {"pairwise": ("left", "right", "tie"), "real-or-fake": ("real", "fake")}


@dataclass(frozen=True)
class Vote:
    """One answer.

    shown    ids of the images, left to right as the rater saw them
    chosen   for pairs the id of the better image, or None for a tie; else `real` or `fake`
    left     whether the left image was chosen; None for ties and for real-or-fake
    ms       from the picture's being there to the answer
    """

    trial: str
    shown: tuple[str, ...]
    chosen: str | None
    left: bool | None
    ms: int


@dataclass(frozen=True)
class Ballot:
    """All answers of one rater.

    rater_id     opaque id that the page gave
    name         what the rater called himself, or nothing
    order_seed   seed of the order of the trials
    """

    rater_id: str
    name: str
    order_seed: int
    votes: tuple[Vote, ...]


def read_votes(paths: Iterable[Path | str], key: Key) -> list[Ballot]:
    """The ballots in files that the page of `key` saved.

    Raises DataError, naming the file and what is wrong with it, for anything that the page would not have written:
    votes of another page, unknown trials, images or answers, a trial or a rater twice, values out of range.
    """
    ballots: dict[str, tuple[Ballot, Path]] = {}
    for path in map(Path, paths):
        ballot = _ballot(strict.load(path, MAX_BYTES), key, str(path))
        if ballot.rater_id in ballots:
            before = ballots[ballot.rater_id][1]
            raise DataError(f"{path} and {before} are of the same rater; give only the later one")
        ballots[ballot.rater_id] = (ballot, path)
    if not ballots:
        raise DataError("there are no votes to read; give the files that raters saved")
    return [ballot for ballot, _ in ballots.values()]


def _ballot(values: dict[str, Any], key: Key, where: str) -> Ballot:
    strict.fields(values, _FIELDS, where, hint="; is it a file that the page saved?")
    if values["format"] != FORMAT or strict.whole(values["version"], 0, 999, f"{where}: version") != VERSION:
        raise DataError(f"{where}: it is not of the format {FORMAT!r} {VERSION}")
    if strict.opaque(values["page"], f"{where}: page") != key.page or values["mode"] != key.mode:
        raise DataError(f"{where}: these votes are of another page than the key; give the key made with their page")
    for name in ("started", "saved"):
        strict.text(values[name], 40, f"{where}: {name}")
    complete = strict.boolean(values["complete"], f"{where}: complete")
    listed = strict.sequence(values["votes"], f"{where}: votes")
    if len(listed) > len(key.trials) or (complete and len(listed) != len(key.trials)):
        raise DataError(f"{where}: {len(listed):,} votes do not fit {len(key.trials):,} trials")
    votes = tuple(_vote(one, key, f"{where}: vote {k}") for k, one in enumerate(listed))
    if len({vote.trial for vote in votes}) != len(votes):
        raise DataError(f"{where}: a trial was answered twice")
    return Ballot(
        strict.opaque(values["rater_id"], f"{where}: rater_id"),
        strict.text(values["rater"], 100, f"{where}: rater"),
        strict.whole(values["order_seed"], 0, 2**32 - 1, f"{where}: order_seed"),
        votes,
    )


def _vote(value: Any, key: Key, where: str) -> Vote:
    strict.fields(value, {"trial", "shown", "choice", "ms"}, where)
    name = strict.opaque(value["trial"], f"{where}: trial")
    if name not in key.trials:
        raise DataError(f"{where}: trial {name} is not on the page")
    shown = tuple(strict.opaque(one, f"{where}: shown") for one in strict.sequence(value["shown"], f"{where}: shown"))
    if sorted(shown) != sorted(key.trials[name].images):
        raise DataError(f"{where}: trial {name} does not show these images")
    choice = strict.one_of(value["choice"], _CHOICES[key.mode], f"{where}: choice")
    if choice == "tie" and not key.ties:
        raise DataError(f"{where}: a tie was no answer on this page")
    ms = strict.whole(value["ms"], 0, MAX_MS, f"{where}: ms")
    if key.mode == "real-or-fake":
        return Vote(name, shown, choice, None, ms)
    left = None if choice == "tie" else choice == "left"
    return Vote(name, shown, None if left is None else shown[0 if left else 1], left, ms)
