"""A leaderboard: several families trained for the same wall-clock time on the same images, judged alike and ranked.

The Gaussian mixture and the conditional restricted Boltzmann machine take part as floors: a network that does not beat
them has learned nothing that a model of the last century would not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import api, durable, judging
from . import models as catalogue
from .config import from_dict, to_dict
from .errors import ConfigError, Interrupted, LimnerError
from .evaluation import compare
from .evaluation.compare import Difference
from .evaluation.evaluate import Evaluation
from .evaluation.material import Material
from .evaluation.seeds import pooled
from .trained import Trained
from .training.folder import RunFolder
from .training.plan import parse_duration
from .training.settings import TrainConfig
from .training.show import Show

FLOORS = ("gmm", "crbm")
DEFAULT = ("vae", "gan")
RANK_BY = "kid"  # the one distance that is unbiased at any number of images


@dataclass(frozen=True)
class Entry:
    """One model that took part: its run (the first of several seeds) and what was found, of all its runs.

    `failure` says why there is nothing to judge.
    """

    name: str
    run: Path
    evaluation: Evaluation | None = None
    material: Material | None = None
    failure: str = ""


@dataclass(frozen=True)
class Contest:
    """A leaderboard: entries, best first, and the differences of each from the first."""

    data: str
    budget: str
    entries: tuple[Entry, ...]
    differences: tuple[Difference, ...]
    rank_by: str
    seeds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "data": self.data,
            "budget": self.budget,
            "seeds": self.seeds,
            "rank_by": self.rank_by,
            "entries": [
                {
                    "model": entry.name,
                    "run": str(entry.run),
                    "failure": entry.failure or None,
                    "evaluation": entry.evaluation.to_dict() if entry.evaluation else None,
                }
                for entry in self.entries
            ],
            "differences": [vars(difference) for difference in self.differences],
        }


def leaderboard(
    data: str | Path,
    *,
    out: str | Path,
    budget: str = "5m",
    models: Sequence[str] = DEFAULT,
    learned_floors: bool = True,
    seed: int = 0,
    seeds: int = 1,
    data_config: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    show: Show | None = None,
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> Contest:
    """Train every model for `budget` on `data`, judge all alike, rank them, and write the page.

    out              folder for the runs and leaderboard.html; runs that are there are gone on with or judged
    models           names of the catalogue
    learned_floors   let the GMM and the conditional RBM take part too
    seeds            runs of each model, with seeds from `seed` on; with two or more, intervals are over the runs
    training         settings of training for all of them (batch, precision …)
    settings         as for `limner.evaluate`: n, metrics, features, split, floors …

    A model that cannot be trained on these data is listed with the reason, not hidden.
    """
    if not models:
        raise ConfigError(f"no model is named; name two or more, such as {', '.join(DEFAULT)}")
    judging.checked(from_dict(judging.Settings, {"seed": seed, **settings}, where="evaluate"))
    names = _names([*models, *(FLOORS if learned_floors else ())])
    parse_duration("budget", budget)
    if seeds < 1:
        raise ConfigError(f"seeds={seeds} is below 1; give every model one run or more")
    folder = Path(out)
    rules = _Rules(
        data,
        data_config,
        seeds=range(seed, seed + seeds),
        training={"budget": budget, "preview_every": "0", **(training or {})},
        judging={"seed": seed, **settings},
        show=show,
        say=say,
    )
    for name in names:
        for seed, run in _runs(folder / name, rules).items():
            if run.is_run:
                _check_same(run, name, seed, rules)
    entries = [_entry(name, folder / name, rules) for name in names]
    contest = replace(_ranked(str(data), budget, entries), seeds=seeds)
    durable.make_folder(folder)
    durable.write_file(folder / "leaderboard.html", _page(contest).encode())
    return contest


def _names(asked: Sequence[str]) -> list[str]:
    """Each once, each known."""
    names = list(dict.fromkeys(asked))
    for name in names:
        catalogue.entry(name)
    if len(names) < 2:
        raise ConfigError(f"a leaderboard of {', '.join(names) or 'no model'} ranks nothing; name two or more models")
    return names


@dataclass(frozen=True)
class _Rules:
    """What is alike for all that take part: the data, how to train on them, and how to judge."""

    data: str | Path
    data_config: Mapping[str, Any] | None
    seeds: range
    training: Mapping[str, Any]
    judging: Mapping[str, Any]
    show: Show | None
    say: Callable[[str], None]


def _runs(first: Path, rules: _Rules) -> dict[int, RunFolder]:
    """The run of each seed, beside the first one's."""
    others = {seed: RunFolder(first.with_name(f"{first.name}-seed{seed}")) for seed in rules.seeds[1:]}
    return {rules.seeds[0]: RunFolder(first), **others}


def _entry(name: str, run: Path, rules: _Rules) -> Entry:
    """Train one model with each seed and judge it; what cannot be is an entry with the reason."""
    try:
        judged = [_judged(name, each.path, seed, rules) for seed, each in _runs(run, rules).items()]
        found = [each.evaluation for each in judged]
        evaluation = found[0] if len(found) == 1 else pooled(found, name)
    except Interrupted:
        raise
    except LimnerError as error:
        return Entry(name, run, failure=str(error))
    return Entry(name, run, evaluation, judged[0].material if isinstance(judged[0], judging.Judged) else None)


def _judged(name: str, run: Path, seed: int, rules: _Rules) -> judging.Judged | judging.JudgedRestorer:
    rules.say(f"{name}: training for {rules.training['budget']}, seed {seed}")
    judged = judging.judge(_trained(name, run, seed, rules), rules.data, say=rules.say, **rules.judging)
    judged.save(run)
    return judged


def _trained(name: str, run: Path, seed: int, rules: _Rules) -> Trained:
    if RunFolder(run).is_run:  # an interrupted contest goes on where it stood
        return api.resume(run, show=rules.show)
    training = {"seed": seed, **rules.training}
    return api.train(name, rules.data, out=run, data_config=rules.data_config, show=rules.show, **training)


def _check_same(run: RunFolder, name: str, seed: int, rules: _Rules) -> None:
    """Raise ConfigError where a run that is there was trained otherwise than this leaderboard asks."""
    saved, given = run.read_config(), dict(rules.data_config or {})
    training = to_dict(from_dict(TrainConfig, {"seed": seed, **rules.training}, where="train"))
    reading = {"path": api.absolute(rules.data), **to_dict(catalogue.reading(name, given))}
    asked = {"model": name}
    asked |= {f"data.{key}": reading[key] for key in ("path", *given)}
    asked |= {f"train.{key}": training[key] for key in ("seed", *rules.training) if key not in api.LEAVES_NO_TRACE}
    there = {"model": saved["model"]}
    there |= {f"{part}.{key}": value for part in ("data", "train") for key, value in saved[part].items()}
    for key, value in json.loads(json.dumps(asked)).items():
        if there.get(key) != value:
            raise ConfigError(
                f"{run.path} holds a run with {key}={there.get(key)!r}, and {value!r} is asked for; "
                f"remove it, or choose another folder with --out"
            )


def _ranked(data: str, budget: str, entries: Sequence[Entry]) -> Contest:
    judged = [entry for entry in entries if entry.evaluation is not None]
    evaluations = [entry.evaluation for entry in judged if entry.evaluation is not None]
    if not judged:
        reasons = "; ".join(f"{entry.name}: {entry.failure}" for entry in entries)
        raise ConfigError(f"no model could be trained and judged on {data}: {reasons}")
    rank_by = _rank_by(evaluations)
    order = {each.subject: place for place, each in enumerate(compare.ranking(evaluations, rank_by))}
    judged.sort(key=lambda entry: order.get(entry.evaluation.subject if entry.evaluation else "", len(order)))
    best_first = [entry.evaluation for entry in judged if entry.evaluation is not None]
    differences = tuple(compare.differences(best_first)) if len(best_first) > 1 else ()
    return Contest(data, budget, (*judged, *(e for e in entries if e.evaluation is None)), differences, rank_by)


def _rank_by(evaluations: Sequence[Evaluation]) -> str:
    """The number that orders: KID where it was measured, else the first that has a better end."""
    numbers = evaluations[0].numbers
    for number in (
        *(n for n in numbers if n.protocol.metric == RANK_BY),
        *(n for n in numbers if n.better != "neither"),
    ):
        return number.name
    raise ConfigError("none of the metrics says which of two models is better; add kid or fd")


def _page(contest: Contest) -> str:
    from .evaluation.page import Leaderboard, Skipped, render_leaderboard
    from .evaluation.report import entrant, sentence

    judged = [(entry, entry.evaluation) for entry in contest.entries if entry.evaluation is not None]
    names = ",".join(entry.name for entry in contest.entries)
    seeds = f" --seeds {contest.seeds}" if contest.seeds > 1 else ""
    again = f"limner leaderboard {shlex.quote(contest.data)} --models {names} --budget {contest.budget}{seeds}"
    return render_leaderboard(
        Leaderboard(
            title=f"Leaderboard of {contest.data}",
            subtitle=f"{contest.budget} of training each" + (f", {contest.seeds} seeds" if contest.seeds > 1 else ""),
            entrants=[
                entrant(found, entry.material, subtitle="floor" if entry.name in FLOORS else "")
                for entry, found in judged
            ],
            rank_by=contest.rank_by,
            floors=judged[0][1].floors,
            skipped=[Skipped(entry.name, entry.failure) for entry in contest.entries if entry.failure],
            notes=[sentence(difference) for difference in contest.differences],
            commands=[f"{again} {judged[0][1].about.get('asked', '')}".rstrip()],
        )
    )
