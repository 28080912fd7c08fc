"""How near `limner advise` comes: `python -m benchmarks.quality_advice --data builtin:digits --data mnist=PATH`.

Each pair of model and data is foretold from a trial of seconds, and then really trained for the budget, by the command
and in a process of its own, its time and memory measured from outside. What is compared: images shown, seconds by the
clock from the command to the finished model, and the peak of memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import limner
from limner import advice, trial
from limner.data import DataConfig, open_data
from limner.errors import ConfigError
from limner.training.plan import parse_duration

from . import machine

MODELS = ("gan", "vae", "latent-flow", "flow-mlp", "gmm", "pixelcnn", "token-lm", "realnvp")
NEAR = 0.25


@dataclass(frozen=True)
class Found:
    """What a run came to, foretold or measured."""

    images: int
    seconds: float
    memory: float

    def off(self, true: Found) -> list[float]:
        """Each number over the true one, less 1."""
        pairs = ((self.images, true.images), (self.seconds, true.seconds), (self.memory, true.memory))
        return [told / max(1e-9, was) - 1 for told, was in pairs]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", metavar="NAME=PATH", help="default: builtin:digits and shapes")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--budget", default="45s")
    parser.add_argument("--resolution", type=int, default=32)
    given = parser.parse_args(arguments)
    watch, near, count = machine.Watch(), 0, 0
    print(f"{'data':10} {'model':12} {'images':>9} {'really':>9} {'off':>6} {'s':>6} {'really':>6} {'off':>6}", end="")
    print(f" {'MiB':>6} {'really':>6} {'off':>6}")
    for pair in given.data or ["digits=builtin:digits", "shapes=builtin:shapes"]:
        name, path = pair.split("=", 1)
        for model in given.models.split(","):
            try:
                told = foretold(model, path, given.budget, given.resolution)
                true = real(model, path, given.budget, given.resolution)
            except ConfigError as error:
                print(f"{name:10} {model:12} {error}", flush=True)
                continue
            off = told.off(true)
            count, near = count + 1, near + all(abs(each) <= NEAR for each in off)
            cells = zip((told.images, told.seconds, told.memory), (true.images, true.seconds, true.memory), strict=True)
            numbers = [f"{a:>6,.0f} {b:>6,.0f} {each:>+6.0%}" for (a, b), each in zip(cells, off, strict=True)]
            print(f"{name:10} {model:12} {' '.join(numbers)}", flush=True)
    print(f"{near} of {count} within {NEAR:.0%} in all three; others took {watch.others():.0f} % of the machine")


def foretold(model: str, data: str, budget: str, resolution: int) -> Found:
    """What `limner advise` says of it."""
    reading = {"resolution": resolution}
    dataset = open_data(data, DataConfig(resolution=resolution), split="train")
    facts = advice.look(dataset)
    (candidate,) = advice.named([model], facts)
    cost = trial.measured(trial.Ask(model, data, candidate.config, reading), timeout=300.0, fresh=True)
    choice = advice.choice(candidate, cost, facts, parse_duration("budget", budget), [])
    return Found(sum(stage.images for stage in choice.stages), choice.seconds, choice.memory / 2**20)


def real(model: str, data: str, budget: str, resolution: int) -> Found:
    """What `limner train` comes to. Raises ConfigError where it fails."""
    facts = advice.look(open_data(data, DataConfig(resolution=resolution), split="train"))
    (candidate,) = advice.named([model], facts)
    with tempfile.TemporaryDirectory(prefix="limner-advice-") as folder:
        out = Path(folder) / "run"
        words = [
            "train",
            model,
            data,
            "--budget",
            budget,
            "--resolution",
            str(resolution),
            "--out",
            str(out),
            "--quiet",
        ]
        began, said = time.monotonic(), Path(folder) / "said"
        with said.open("w") as stderr:
            command = [sys.executable, "-m", "limner", *words, *advice.assignments(candidate.config)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr)
        memory = 0
        while process.poll() is None:
            memory = max(memory, _peak(process.pid))
            time.sleep(0.05)
        seconds = time.monotonic() - began
        if process.returncode:
            lines = said.read_text().strip().splitlines()
            raise ConfigError(lines[-1] if lines else f"it ended with {process.returncode}")
        stages = [out / "first", out] if (out / "first").exists() else [out]
        images = sum(int(limner.load(stage).about["images_shown"]) for stage in stages)
    return Found(images, seconds, memory / 1024)


def _peak(pid: int) -> int:
    """KiB that a process ever used; not what wait4 tells, which is at least what this process used when it began it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


if __name__ == "__main__":
    main()
