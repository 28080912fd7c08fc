"""What restoring costs: `python -m benchmarks restoration`.

1. Peak memory and seconds of enlarging a picture of 12 megapixels four times, in tiles, as `limner upscale` does it: a
   process of its own, with random weights (they cost the same). Limit: 1.5 GiB.
2. Throughput of the small network against a network of the shape of EDSR-baseline (16 blocks of 64 channels, 1.4 M
   parameters at x2), the peer of the tables, on a picture of 256x256 at x2, both with one set of threads.
3. The same in bfloat16, with what that changes in the result.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from limner import durable, models
from limner.model import Model
from limner.tasks.apply import TILED
from limner.tasks.restore import png
from limner.types import Condition, DataSpec

from .memory_worker import peak as peak_memory

LIMIT = 1.5  # GiB
SIDES = (3000, 4000)


def main() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.restoration", "large"], capture_output=True, text=True)
    print(done.stdout.strip() or done.stderr.strip())
    _compare()


def large() -> None:
    """Enlarge 12 megapixels in this process, and say what it took."""
    model = _restorer("srnet", 3, 4)
    picture = np.random.default_rng(0).integers(0, 256, (*SIDES, 3), np.uint8)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="limner-bench-") as folder:
        file = Path(folder) / "large.png"
        durable.write_file(file, png(model, picture, how=TILED))
        peak, size = peak_memory() / 2**30, file.stat().st_size / 2**20
    print(
        f"x4 of {SIDES[0]}x{SIDES[1]}: {time.monotonic() - began:.0f} s, peak {peak:.2f} GiB (limit {LIMIT}), "
        f"a file of {size:.0f} MiB (noise, which cannot be packed)"
    )


def _compare() -> None:
    """Seconds of the small network and of its peer, turn by turn."""
    source = torch.rand(1, 1, 256, 256)
    small, peer = _restorer("srnet", 1, 2), _restorer("edsr", 1, 2)
    seconds: dict[str, list[float]] = {}
    made = {}
    for turn in range(7):
        for name, model, narrow in [("small", small, False), ("small, bf16", small, True), ("peer", peer, False)]:
            began = time.perf_counter()
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=narrow):
                made[name] = model.transform(source, Condition()).float()  # type: ignore[operator]
            if turn:
                seconds.setdefault(name, []).append(time.perf_counter() - began)
    best = {name: min(times) for name, times in seconds.items()}
    error = (made["small"] - made["small, bf16"]).square().mean()
    for name, time_ in best.items():
        print(f"{name}: {1e3 * time_:.1f} ms for 256x256 at x2, {best['peer'] / time_:.1f} times the peer's throughput")
    print(f"bf16 differs from fp32 by {10 * torch.log10(4 / error):.1f} dB")
    for name, model in (("small", small), ("peer", peer)):
        print(f"{name}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters")


def _restorer(name: str, channels: int, scale: int) -> Model:
    torch.manual_seed(0)
    spec = DataSpec(channels, 96, 96, source_channels=channels, scale=scale)
    model = models.build(name, models.configure(name, {}), spec).eval()
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    return model


if __name__ == "__main__":
    large() if sys.argv[1:] == ["large"] else main()
