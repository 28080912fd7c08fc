"""The figures as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .figures import Figure
from .machine import QUIET, Machine
from .measure import Timing


@dataclass(frozen=True)
class Outcome:
    """One bench and what came of it.

    others_before, others_during   percent of the machine that other processes took
    """

    bench: str
    figures: Sequence[Figure]
    seconds: float
    others_before: float
    others_during: float

    @property
    def quiet(self) -> bool:
        return max(self.others_before, self.others_during) <= QUIET

    @property
    def missed(self) -> bool:
        """Whether a goal was missed on a quiet machine."""
        return self.quiet and any(figure.met is False for figure in self.figures)


def show(console: Console, machine: Machine, outcomes: Sequence[Outcome], *, quick: bool) -> None:
    """Print the machine, the table, and what forbids trusting it."""
    console.print(
        f"\n{machine.cpu}, {machine.cores} cores, {machine.threads} threads, {machine.memory_gib} GiB, ", end=""
    )
    console.print(f"torch {machine.torch}, Python {machine.python}, {machine.system}")
    table = Table("bench", "figure", "value", "goal", "", "from", show_lines=True)
    for outcome in outcomes:
        for place, figure in enumerate(outcome.figures):
            table.add_row("" if place else _head(outcome), *_cells(figure))
    console.print(table)
    loud = [outcome for outcome in outcomes if not outcome.quiet]
    if loud:
        console.print(
            f"[bold red]not quiet[/]: others took more than {QUIET:g} % of the machine; repeat these:", end=" "
        )
        console.print(", ".join(outcome.bench for outcome in loud))
    if quick:
        console.print("[bold red]quick[/]: this shows that the benches work; its figures mean nothing")


def write(path: Path, machine: Machine, outcomes: Sequence[Outcome], *, quick: bool) -> None:
    """Everything that is known, as JSON."""
    benches = [
        {
            "bench": outcome.bench,
            "seconds": round(outcome.seconds, 1),
            "others_percent_before": round(outcome.others_before, 1),
            "others_percent_during": round(outcome.others_during, 1),
            "quiet": outcome.quiet,
            "figures": [figure.to_json() for figure in outcome.figures],
        }
        for outcome in outcomes
    ]
    body = {"quick": quick, "machine": asdict(machine), "benches": benches}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _head(outcome: Outcome) -> str:
    others = max(outcome.others_before, outcome.others_during)
    mark = "" if outcome.quiet else f"\n[red]not quiet ({others:.0f} %)[/]"
    return f"{outcome.bench}{mark}"


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    value = f"{_number(figure.value)} {figure.unit}"
    if figure.spread is not None:
        value += f"\n[dim]{_number(figure.spread[0])} … {_number(figure.spread[1])}[/]"
    goal = "" if figure.goal is None else figure.goal.text(figure.unit)
    mark = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
    sources = [_speed(timing) for timing in figure.timings] + ([figure.note] if figure.note else [])
    return figure.name, value, goal, mark, "\n".join(sources)


def _speed(timing: Timing) -> str:
    median, best = _number(timing.median), _number(timing.best)
    return f"{timing.name}: median {median}, best {best} {timing.unit}/s, {len(timing.seconds)} rounds"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
