"""An MLP VAE in Limner's loop, against the same in pythae's BaseTrainer, each with the data in memory.

pythae gets an environment of its own, made at the first run: the same torch, and what pythae requires less the
back-port of a module that Python now has. There it waits as a process that trains a round when it is told to
(pythae_worker.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from . import pictures
from .figures import Figure, Goal, Settings, speedup
from .training import Job, prepare, race

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-pythae"
NEEDS = ("torch", "numpy", "scipy", "scikit-learn", "pydantic", "tqdm", "imageio", "cloudpickle", "typing-extensions")
PYTHAE = "pythae==0.1.2"
VAE = {"network": "mlp", "width": 512, "depth": 1, "latent": 16, "likelihood": "bernoulli"}
BATCH = 64


def run(settings: Settings) -> list[Figure]:
    images = pictures.strokes(settings.pick(50_000, 2_048), 28)
    np.save(settings.folder / "images.npy", images)
    steps = settings.pick(150, 3)
    prepared = prepare(Job("vae", images, BATCH, VAE))
    with Worker(environment(), settings.folder, steps=steps) as pythae:
        timings = race(
            prepared,
            {"pythae": pythae.train},
            rounds=settings.pick(15, 2),
            steps=steps,
            folder=settings.folder / "run",
        )
    note = f"Limner in {prepared.words}; {PYTHAE}, its default MLP networks and trainer, bce"
    name = f"MLP VAE 784-512-16, batch {BATCH}: Limner's loop against pythae's trainer"
    return [speedup(name, timings["limner"], timings["pythae"], goal=Goal(1.5), note=note)]


class Worker:
    """A process that has pythae's trainer waiting, and lets it take `steps` steps at a time."""

    def __init__(self, python: Path, folder: Path, *, steps: int) -> None:
        script = Path(__file__).with_name("pythae_worker.py")
        command = [python, script, folder / "images.npy", folder / "pythae", str(BATCH), str(steps)]
        errors = (folder / "pythae.log").open("wb")
        self._process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        errors.close()
        self._log = folder / "pythae.log"

    def train(self) -> float:
        """Seconds of the next `steps` steps, by the process's own clock."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print("go", file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"pythae's process ended: {self._log.read_text(errors='replace')[-2000:]}")
        return float(answer)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def environment() -> Path:
    """The Python of the environment that has pythae, which is made when it is not there."""
    python = HOME / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = HOME / ".ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
        subprocess.run([*install, *NEEDS], check=True)
        subprocess.run([*install, "--no-deps", PYTHAE], check=True)
        ready.touch()
    return python
