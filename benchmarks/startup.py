"""How long the command takes to answer, and an import, beside Python itself."""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from .figures import Figure, Goal, Settings
from .measure import alternate

GOALS = {"limner -h": Goal(300, at_most=True)}


def run(settings: Settings) -> list[Figure]:
    script = Path(sysconfig.get_path("scripts")) / "limner"
    limner = [str(script)] if script.exists() else [sys.executable, "-m", "limner"]
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import limner'": [sys.executable, "-c", "import limner"],
        "limner --version": [*limner, "--version"],
        "limner -h": [*limner, "-h"],
    }
    seconds = alternate({name: _caller(command) for name, command in commands.items()}, rounds=settings.pick(7, 2))
    return [_figure(name, taken) for name, taken in seconds.items()]


def _figure(name: str, seconds: tuple[float, ...]) -> Figure:
    note = f"best of {len(seconds)}; median {1000 * statistics.median(seconds):.0f} ms"
    return Figure(name, 1000 * min(seconds), "ms", GOALS.get(name), note=note)


def _caller(command: list[str]) -> Callable[[], None]:
    def call() -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return call
