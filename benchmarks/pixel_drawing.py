"""Drawing pixels from what is kept, against a whole pass for each pixel: `python -m benchmarks.pixel_drawing`.

Both in float64, as models draw, with the first weights of models of 28x28 pixels: time does not depend on what was
learned. The plain way is timed by a tenth of its passes, of which all take as long. Processor time, not wall time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from limner import models
from limner.models.autoregression import PixelModel, precise_copy
from limner.rng import ImageRng
from limner.types import Condition, DataSpec

DATA = DataSpec(1, 28, 28)
SHARE = 10  # of the plain way's passes, one in so many is timed


def main() -> None:
    torch.set_num_threads(1)
    for name in ("made", "binary-pixelcnn", "pixelcnn"):
        model = models.build(name, models.configure(name, {}), DATA).eval()
        assert isinstance(model, PixelModel)
        for rows in (1, 16):
            kept = min(_seconds(lambda model=model, rows=rows: _draw(model, rows)) for _ in range(3))
            plain = SHARE * _seconds(lambda model=model, rows=rows: _passes(model, rows))
            print(f"{name:16} batch {rows:2}: {kept:6.2f} s kept, {plain:7.2f} s plain: {plain / kept:.1f} x")


def _draw(model: PixelModel, rows: int) -> None:
    model.sample(ImageRng(0, range(rows)), Condition(), model.Options())


@torch.inference_mode()
def _passes(model: PixelModel, rows: int) -> None:
    """A tenth of the passes that drawing takes when every pixel needs the whole network."""
    network = precise_copy(model.network)
    image, condition = torch.zeros(rows, *DATA.shape).double(), torch.zeros(rows, 0).double()
    values = image.flatten(1) if model.name == "made" else model._places(image)
    for _ in range(DATA.height * DATA.width // SHARE):
        network(values, condition)


def _seconds(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
