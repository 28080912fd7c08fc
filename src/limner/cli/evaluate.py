"""`limner evaluate`, `limner compare` and `limner leaderboard`: how good, which is better, and which family."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, command, lines, note, shown

if TYPE_CHECKING:
    from rich.console import Console

    from ..contest import Contest
    from ..evaluation.compare import Difference
    from ..evaluation.evaluate import Evaluation
    from ..metrics.number import Number


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """How to judge: all of it is part of every number's protocol."""

    metrics: Annotated[str | None, Parameter(help="fd,kid,… or `all`; by default what fits and is cheap.")] = None
    number: Annotated[int, Parameter(name=["--number", "-n"], help="Images on each side, at most.")] = 2_000
    seed: Annotated[int, Parameter(help="Of the samples.")] = 0
    split: Annotated[str, Parameter(help="Of the real images: train, val, test, auto.")] = "auto"
    features: Annotated[
        str, Parameter(help="lite0, inception[:PATH], self, hf:FOLDER-OR-ID, a TorchScript file, or none.")
    ] = "lite0"
    no_floors: Annotated[
        bool, Parameter(show_default=False, help="Leave out what sets the scale: real images, noise …")
    ] = False
    resolution: Annotated[str | None, Parameter(help="To read a folder's images at; by default their own.")] = None
    set: Annotated[
        list[str] | None, Parameter(help="Setting of a measure, name=value: preset=sr-x2, importance=64 …")
    ] = None

    sampling: Annotated[
        list[str] | None, Parameter(help="Option of sampling, name=value, as `limner sample --set`.")
    ] = None

    def settings(self) -> dict[str, Any]:
        """What limner.evaluate takes."""
        return {
            "metrics": _names(self.metrics),
            "n": self.number,
            "seed": self.seed,
            "split": self.split,
            "features": self.features,
            "floors": not self.no_floors,
            "options": _options(self.set or ()),
            "sampling": _options(self.sampling or ()),
        }

    @property
    def reading(self) -> dict[str, Any]:
        return {} if self.resolution is None else {"resolution": self.resolution}


USUAL = Flags()
PLAIN = Common()
What = Annotated[str, Parameter(help="A run, a model folder, or any folder of images.")]


def evaluate(
    what: What,
    data: Annotated[str | None, Parameter(help="Real images; by default those the run was trained on.")] = None,
    /,
    *,
    flags: Flags = USUAL,
    weights: Annotated[str | None, Parameter(help="raw, ema_short or ema_long.")] = None,
    out: Annotated[Path | None, Parameter(help="Folder for report.html and evaluation.json.")] = None,
    gate: Annotated[
        bool, Parameter(show_default=False, help="Exit with 6 unless there is no sign that training images are copied.")
    ] = False,
    limit: Annotated[list[str] | None, Parameter(help="Also exit with 6 unless it holds: 'FD-Lite0<=40'.")] = None,
    common: Common = PLAIN,
) -> Answer:
    """Judge WHAT against the real images of DATA, and write a report."""
    from .. import judging
    from ..evaluation.gate import Limit

    for bound in limit or ():
        Limit.parse(bound)  # what cannot be read is refused now, not when all is measured
    place = out if out is not None else places.free(Path("evaluations"), places.name_of(what))
    judged = judging.judge(
        what, data, say=lambda text: note(common, text), data_config=flags.reading, weights=weights, **flags.settings()
    )
    page = judged.save(place)
    found = judged.evaluation
    verdict = judging.gate(found, limit or (), copying=gate) if gate or limit else None
    values = {**found.to_dict(), "report": str(page), "gate": None if verdict is None else verdict.to_dict()}

    def text(console: Console) -> None:
        _print(console, _table(found))
        for number in found.numbers:
            if "verdict" in number.details:
                reasons = "; ".join(map(str, number.details.get("reasons", ())))
                console.out(f"{number.name}: {number.details['verdict']}; {shown(reasons)}")
        for name, why in found.skipped:
            console.out(f"not measured: {name}: {shown(why)}")
        if verdict is not None:
            for text in (*verdict.passed, *verdict.refused):
                console.out(f"{'refused' if text in verdict.refused else 'passed'}: {shown(text)}")
        console.out(lines(found.subject, {"report": page, "seconds": found.seconds}))

    return Answer(values, text, exit_code=6 if verdict is not None and verdict.refused else 0)


def compare(
    subjects: Annotated[
        list[str],
        Parameter(help="Runs, folders of images, evaluation.json files: two or more; A,B is several runs as one."),
    ],
    /,
    *,
    against: Annotated[str, Parameter(help="The real images.")],
    flags: Flags = USUAL,
    out: Annotated[Path | None, Parameter(help="HTML file of the comparison.")] = None,
    common: Common = PLAIN,
) -> Answer:
    """Judge several alike, and say which differences are more than chance. Unlike protocols are refused (exit 8)."""
    from .. import judging

    place = out if out is not None else places.free(Path("evaluations"), "compare", ".html")
    evaluations, differences = judging.compare(
        subjects, against, say=lambda text: note(common, text), data_config=flags.reading, **flags.settings()
    )
    judging.write_comparison(evaluations, differences, against, place)
    values = {
        "evaluations": [each.to_dict() for each in evaluations],
        "differences": [vars(difference) for difference in differences],
        "page": str(place),
    }

    def text(console: Console) -> None:
        _print(console, _side_by_side(evaluations))
        _print(console, _differences(differences))
        console.out(lines("compared", {"page": place}))

    return Answer(values, text)


def leaderboard(
    data: Annotated[str, Parameter(help="A folder, an archive, or builtin:openmoji, :shapes, :digits.")],
    /,
    *,
    models: Annotated[str, Parameter(help="Names of the catalogue, with commas.")] = "vae,gan",
    budget: Annotated[str, Parameter(help="Training time of each: 90s, 5m, 1h.")] = "5m",
    learned_floors: Annotated[
        bool, Parameter(name="--learned-floors", negative="--no-learned-floors", help="Let gmm and crbm take part.")
    ] = True,
    seeds: Annotated[int, Parameter(help="Runs of each; with two or more, intervals are over the runs.")] = 1,
    flags: Flags = USUAL,
    out: Annotated[Path | None, Parameter(help="Folder for the runs and the page.")] = None,
    common: Common = PLAIN,
) -> Answer:
    """Train several families for the same time on DATA, judge them alike, and rank them."""
    from .. import contest
    from ..training.show import Show, TerminalShow
    from .output import console

    place = out if out is not None else places.free(Path("leaderboards"), places.name_of(data))
    found = contest.leaderboard(
        data,
        out=place,
        budget=budget,
        models=[name.strip() for name in models.split(",") if name.strip()],
        learned_floors=learned_floors,
        seeds=seeds,
        data_config=flags.reading,
        show=Show() if common.quiet else TerminalShow(console(sys.stderr)),
        say=lambda text: note(common, text),
        **flags.settings(),
    )
    return Answer({**found.to_dict(), "page": str(place / "leaderboard.html")}, lambda out: _board(found, place, out))


def _names(text: str | None) -> list[str] | None:
    """`fd,kid` -> names; `all` -> every measure there is."""
    from ..evaluation.measures import MEASURES

    if text is None:
        return None
    return list(MEASURES) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]


def _options(assignments: Sequence[str]) -> dict[str, Any]:
    from ..config import parse_value

    options = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} has no '='; write name=value")
        options[name.strip()] = parse_value(value)
    return options


# --- tables ---------------------------------------------------------------------------------------------------------

_WIDE = 1_000  # columns of what goes to a file or another program: no table is folded there
_ARROWS = {"lower": "↓", "higher": "↑", "neither": ""}


def _print(console: Console, table: Any) -> None:
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def _table(found: Evaluation) -> Any:
    """Every number with its interval, and the same of the two floors that say most; the page shows them all."""
    shown_floors = {name: found.floors[name] for name in ("real", "Gaussian", "degraded") if name in found.floors}
    table = _empty("number", "value", "95 % interval", *shown_floors)
    floors = [{number.name: number for number in numbers} for numbers in shown_floors.values()]
    for number in found.numbers:
        beside = [_value(floor.get(number.name)) for floor in floors]
        table.add_row(f"{number.name} {_ARROWS[number.better]}", _value(number), _interval(number), *beside)
    return table


def _side_by_side(evaluations: Sequence[Evaluation]) -> Any:
    table = _empty("number", *(shown(each.subject) for each in evaluations))
    names = dict.fromkeys((number.name, number.better) for each in evaluations for number in each.numbers)
    for name, better in names:
        held = [{number.name: number for number in each.numbers}.get(name) for each in evaluations]
        table.add_row(f"{name} {_ARROWS[better]}", *(f"{_value(each)} {_interval(each)}" for each in held))
    return table


def _differences(differences: Sequence[Difference]) -> Any:
    table = _empty("number", "difference", "95 % interval", "of", "better")
    for each in differences:
        between = "" if each.low is None else f"{each.low:.4g} … {each.high:.4g}"
        pair = f"{shown(each.first)} − {shown(each.second)}"
        table.add_row(each.name, f"{each.value:.4g}", between, pair, shown(each.verdict))
    return table


def _board(found: Contest, place: Path, console: Console) -> None:
    table = _empty("", "model", found.rank_by, "95 % interval")
    for rank, entry in enumerate(found.entries, 1):
        number = _held(entry.evaluation, found.rank_by)
        table.add_row(str(rank), entry.name, _value(number) or shown(entry.failure), _interval(number))
    _print(console, table)
    following: Mapping[str, object] = {"page": place / "leaderboard.html"}
    best = found.entries[0]
    console.out(lines(f"{found.data}, {found.budget} each", following, [command("sample", best.run, "-n", "64")]))


def _held(evaluation: Evaluation | None, name: str) -> Number | None:
    numbers = evaluation.numbers if evaluation is not None else ()
    return next((number for number in numbers if number.name == name), None)


def _value(number: Number | None) -> str:
    return "" if number is None else f"{number.value:.3g}{f' {number.unit}' if number.unit else ''}"


def _interval(number: Number | None) -> str:
    if number is None or number.interval is None:
        return ""
    level = "" if number.interval.level == 0.95 else f" ({number.interval.level:.0%})"
    return f"{number.interval.low:.3g} … {number.interval.high:.3g}{level}"


def _empty(*columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
    return table
