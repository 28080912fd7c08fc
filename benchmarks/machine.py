"""The machine that the figures are of, and how busy others keep it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

QUIET = 5.0  # percent of the machine that others may take before ratios are not to be trusted


@dataclass(frozen=True)
class Machine:
    """What a figure is of."""

    cpu: str
    cores: int
    threads: int
    memory_gib: float
    system: str
    python: str
    torch: str


def describe() -> Machine:
    """This machine."""
    import torch

    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
    )


def _cpu() -> str:
    """The name of the processor, with its family and model number where the name alone says little."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in reversed(lines)}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else name


class Watch:
    """How much of the machine others take: everything that is busy, less this process and its children."""

    def __init__(self) -> None:
        self._start, self._busy, self._own = time.perf_counter(), _busy(), _own()

    def others(self) -> float:
        """Percent of the whole machine since the watch was made."""
        elapsed = (time.perf_counter() - self._start) * (os.cpu_count() or 1)
        return max(0.0, 100 * (_busy() - self._busy - (_own() - self._own)) / elapsed)


def others_now(seconds: float = 1.0) -> float:
    """Percent of the machine that others take while this process waits."""
    watch = Watch()
    time.sleep(seconds)
    return watch.others()


def _busy() -> float:
    """Seconds that all processors together were at work; time stolen by another guest of the host counts."""
    times = psutil.cpu_times()
    # guest time is within user time, and not every system knows every kind
    parts = ("user", "nice", "system", "irq", "softirq", "steal")
    return sum(getattr(times, part, 0.0) for part in parts)


def _own() -> float:
    """Seconds of processor that this process and its children took, also the children that have ended."""
    process = psutil.Process()
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:  # it ended meanwhile, and counts as an ended one from now on
            continue
    return total
