"""What it costs to open a data set again, and how much memory a large one takes while it is trained on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from limner.data import DataConfig, open_data

from . import pictures
from .figures import Figure, Goal, Settings
from .measure import clocked

UNIQUE = 200  # files that differ; the rest are further names of the same


def run(settings: Settings) -> list[Figure]:
    return [*_again(settings), _memory(settings)]


def _again(settings: Settings) -> list[Figure]:
    """Opening the same images as a folder of files and as one file of arrays."""
    count = settings.pick(60_000, 600)
    images = pictures.strokes(count, 28)
    pictures.folder_of(images[:UNIQUE], settings.folder / "many", suffix=".png", copies=count // UNIQUE)
    (settings.folder / "one").mkdir()
    pictures.idx_file(images, settings.folder / "one" / "train-images-idx3-ubyte")
    return [
        _opened(settings, f"second opening of {count:,} images, a folder of PNGs", settings.folder / "many"),
        _opened(settings, f"second opening of {count:,} images, one IDX file", settings.folder / "one"),
    ]


def _opened(settings: Settings, name: str, path: Path) -> Figure:
    def open_it() -> None:
        open_data(path, DataConfig(), cache_dir=settings.folder / "cache")

    first, *later = (clocked(open_it) for _ in range(1 + settings.pick(7, 2)))
    note = f"best of {len(later)}; the first opening took {first:.2f} s"
    return Figure(name, min(later), "s", Goal(1.0, at_most=True), note=note)


def _memory(settings: Settings) -> Figure:
    """Peak memory of a process that decodes a large folder, opens it and trains on it."""
    count, steps = settings.pick(200_000, 2_000), settings.pick(100, 3)
    folder = settings.folder / "large"
    pictures.folder_of(pictures.colours(UNIQUE, 32), folder, suffix=".png", copies=count // UNIQUE)
    script = Path(__file__).with_name("memory_worker.py")
    command = [sys.executable, str(script), str(folder), str(settings.folder), str(steps)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    note = f"peak {answer['peak']:.0f} MiB, of which importing torch takes {answer['torch']:.0f}; MLP VAE"
    name = f"memory of decoding {count:,} images of 32×32×3 and training {steps} steps, over importing torch"
    return Figure(name, answer["peak"] - answer["torch"], "MiB", Goal(600, at_most=True), note=note)
