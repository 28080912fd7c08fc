"""`python -m benchmarks [NAMES…] [--quick] [--quality] [--out FILE]`: run benches and print what they found.

Exit code 1 when a goal was missed on a quiet machine in a full run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

from . import machine, report
from .figures import Settings

NAMES = (
    "loop_overhead",
    "dcgan",
    "vae_pythae",
    "data",
    "roofline",
    "startup",
    "cache_open",
    "features",
    "decoding",
    "diffusion",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser, outcomes = _parser(), []
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if options.quick:
        os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported; a team of threads is slow on a busy machine
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        for name in options.names or NAMES:
            console.print(f"{name} …")
            place = Path(folder) / name
            place.mkdir()
            outcomes.append(run(name, Settings(place, quick=options.quick, quality=options.quality)))
    here = machine.describe()
    report.show(console, here, outcomes, quick=options.quick)
    if options.out is not None:
        report.write(options.out, here, outcomes, quick=options.quick)
    return int(not options.quick and any(outcome.missed for outcome in outcomes))


def run(name: str, settings: Settings) -> report.Outcome:
    """One bench, with an eye on what else the machine does."""
    bench = import_module(f"{__package__}.{name}")
    before = machine.others_now(0.2 if settings.quick else 2.0)
    watch, start = machine.Watch(), time.perf_counter()
    figures = bench.run(settings)
    return report.Outcome(name, figures, time.perf_counter() - start, before, watch.others())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time Limner against what it is held to.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all of them by default")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write everything as JSON as well")
    parser.add_argument("--quick", action="store_true", help="seconds each: show that they work, not how fast it is")
    parser.add_argument("--quality", action="store_true", help="dcgan: also what bf16 does to quality (about 20 min)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
