"""What a person sees of a run in the terminal: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_PLAIN_EVERY = 15.0  # seconds between lines where there is no terminal


@dataclass(frozen=True)
class Report:
    """How a run stands, in plain numbers."""

    step: int
    steps: int
    progress: float
    seconds: float
    images_per_second: float
    values: Mapping[str, float]
    eta_seconds: float

    def text(self) -> str:
        losses = {name.removesuffix("/loss"): value for name, value in self.values.items() if name.endswith("/loss")}
        shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
        return f"step {self.step:,}  {shown}  {self.images_per_second:,.0f} images/s"


class Show:
    """Shows nothing: the base, and what `quiet` uses."""

    def start(self, what: str) -> None:
        """The run begins or goes on."""

    def report(self, report: Report) -> None:
        """The run stands here now."""

    def notice(self, text: str) -> None:
        """Something a person should know."""

    def preview(self, path: Path) -> None:
        """There is a new picture to look at."""

    def stop(self) -> None:
        """The run has ended, for whatever reason."""


class TerminalShow(Show):
    """A live line on a terminal, plain lines elsewhere; all of it on stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live: Progress | None = None
        self._printed = 0.0

    def start(self, what: str) -> None:
        self.notice(what)
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            columns = (
                BarColumn(16),
                TextColumn("{task.percentage:3.0f} %"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.description}"),
            )
            self._live = Progress(*columns, console=self._console, transient=True)
            self._task = self._live.add_task("", total=1.0)
            self._live.start()

    def report(self, report: Report) -> None:
        if self._live is not None:
            self._live.update(self._task, completed=report.progress, description=report.text())
        elif time.monotonic() - self._printed >= _PLAIN_EVERY:
            self._printed = time.monotonic()
            self.notice(f"{100 * report.progress:3.0f} %  {report.text()}  {report.eta_seconds / 60:.1f} min left")

    def notice(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def preview(self, path: Path) -> None:
        self.notice(f"preview: {path}")

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
