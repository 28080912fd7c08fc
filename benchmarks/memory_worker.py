"""Trains on a folder of images and says how much memory that took: run by cache_open.py as a process of its own.

    python memory_worker.py IMAGES FOLDER STEPS

Prints {"torch": MiB after importing torch, "peak": MiB at the most}. Memory is what is resident, mapped files included.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import torch  # noqa: F401  (what importing it takes is the base)

MIB = 2**20


def main(images: str, folder: str, steps: str) -> None:
    base = psutil.Process().memory_info().rss
    os.environ["LIMNER_HOME"] = folder
    import limner

    limner.train(
        "vae", images, out=Path(folder) / "run", config={"network": "mlp"}, steps=int(steps), preview_every="0"
    )
    json.dump({"torch": base / MIB, "peak": peak() / MIB}, sys.stdout)


def peak() -> int:
    """The most bytes that were ever resident."""
    status = Path("/proc/self/status")
    if status.exists():  # not getrusage: that one inherits the peak of the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
