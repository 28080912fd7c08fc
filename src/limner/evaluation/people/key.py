"""The key to a page: which image of which source stands behind each opaque id. Raters never see it.

It is kept as JSON beside the page, and ranking needs it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...errors import DataError
from . import strict

FORMAT, VERSION = "limner-people-key", 1
MAX_BYTES = 32 << 20

Mode = Literal["pairwise", "real-or-fake"]
REAL = -1  # the source of real images, in real-or-fake


@dataclass(frozen=True)
class Shown:
    """An image on the page.

    source      index among the key's sources; REAL for a real image of real-or-fake
    row         which of the source's images
    scrambled   whether its pixels were shuffled, for a gold trial
    """

    source: int
    row: int
    scrambled: bool = False


@dataclass(frozen=True)
class Trial:
    """One question.

    images   ids, left then right; one for real-or-fake
    gold     the answer of a gold trial: the id of the better image, or `fake`; None for a trial that counts
    """

    images: tuple[str, ...]
    gold: str | None = None


@dataclass(frozen=True)
class Key:
    """What a page asked, of which images.

    page      opaque id of the page, which votes repeat
    sources   names, in the order of their indices
    digests   SHA-256 of the images of each source
    images    opaque id -> image
    trials    opaque id -> trial
    ties      whether raters might call a tie
    """

    page: str
    mode: Mode
    question: str
    seed: int
    sources: tuple[str, ...]
    digests: tuple[str, ...]
    images: Mapping[str, Shown]
    trials: Mapping[str, Trial]
    ties: bool = False
    limit_seconds: float | None = None

    def to_json(self) -> str:
        """The text of the key file."""
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=1, ensure_ascii=False)


def read_key(path: Path) -> Key:
    """A key file. Raises DataError when it is none, or does not hold together."""
    values = strict.load(path, MAX_BYTES)
    where = f"{path}"
    strict.fields(
        values,
        {"format", "version", *Key.__dataclass_fields__},
        where,
        hint="; is it the key that `limner human make` wrote?",
    )
    if values["format"] != FORMAT or values["version"] != VERSION:
        raise DataError(f"{where}: format {values['format']!r} {values['version']!r} is not {FORMAT!r} {VERSION}")
    images = {
        strict.opaque(name, where): _shown(one, where) for name, one in strict.mapping(values["images"], where).items()
    }
    trials = {
        strict.opaque(name, where): _trial(one, where) for name, one in strict.mapping(values["trials"], where).items()
    }
    key = Key(
        page=strict.opaque(values["page"], where),
        mode=strict.one_of(values["mode"], ("pairwise", "real-or-fake"), f"{where}: mode"),  # type: ignore[arg-type]  # one of the two
        question=strict.text(values["question"], 2000, f"{where}: question"),
        seed=strict.whole(values["seed"], -(2**63), 2**64, f"{where}: seed"),
        sources=tuple(
            strict.text(name, 500, f"{where}: sources") for name in strict.sequence(values["sources"], where)
        ),
        digests=tuple(strict.text(one, 64, f"{where}: digests") for one in strict.sequence(values["digests"], where)),
        images=images,
        trials=trials,
        ties=strict.boolean(values["ties"], f"{where}: ties"),
        limit_seconds=None
        if values["limit_seconds"] is None
        else strict.number(values["limit_seconds"], 0, 3600, f"{where}: limit_seconds"),
    )
    _check(key, where)
    return key


def _shown(value: Any, where: str) -> Shown:
    strict.fields(value, set(Shown.__dataclass_fields__), f"{where}: images")
    return Shown(
        strict.whole(value["source"], REAL, 10_000, f"{where}: source"),
        strict.whole(value["row"], 0, 2**53, f"{where}: row"),
        strict.boolean(value["scrambled"], f"{where}: scrambled"),
    )


def _trial(value: Any, where: str) -> Trial:
    strict.fields(value, set(Trial.__dataclass_fields__), f"{where}: trials")
    images = tuple(strict.opaque(one, f"{where}: images of a trial") for one in strict.sequence(value["images"], where))
    gold = None if value["gold"] is None else strict.text(value["gold"], 64, f"{where}: gold")
    return Trial(images, gold)


def _check(key: Key, where: str) -> None:
    """Raise DataError where the key names what it does not hold."""
    per_trial = 2 if key.mode == "pairwise" else 1
    for name, trial in key.trials.items():
        if (
            len(trial.images) != per_trial
            or len(set(trial.images)) != per_trial
            or not set(trial.images) <= {*key.images}
        ):
            raise DataError(f"{where}: trial {name} does not show {per_trial} different images of the key")
        if trial.gold is not None and trial.gold not in ("fake", *trial.images):
            raise DataError(f"{where}: trial {name} has the answer {trial.gold!r}, which it does not show")
    if len(key.digests) != len(key.sources) or any(shown.source >= len(key.sources) for shown in key.images.values()):
        raise DataError(f"{where}: images name sources that the key does not list")
