"""A sheet of compositions: `python -m benchmarks.pictures_compose --sheet docs/pictures/compose.png`.

The sun of a dusk is put into a scene of day by a loose mask, in every way that `limner compose` knows; then the scene
made a texture, and two halves of it found to belong together. Each way is judged by how far colours jump across the
rim, as a share of what a plain paste does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from limner import durable
from limner.images.compose import finished
from limner.images.compose.blend import alpha, pyramid
from limner.images.compose.colours import harmonised
from limner.images.compose.poisson import poisson, residual
from limner.images.compose.seams import panorama, seamless
from limner.images.grid import labelled_rows
from limner.images.resize import fit

from . import own_pictures
from .gallery_page import encoded
from .own_pictures import SIDE

Join = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

WAYS: dict[str, Join] = {
    "alpha": alpha,
    "pyramid": pyramid,
    "poisson": poisson,
    "poisson, the stronger gradients": lambda under, over, mask: poisson(under, over, mask, mixed=True),
    "alpha, harmonised by half": lambda under, over, mask: alpha(under, harmonised(over, under, mask), mask),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, required=True)
    given = parser.parse_args()
    day = own_pictures.scene(things=own_pictures.THINGS[1:]).astype(np.float64)
    dusk = own_pictures.scene(top=(70, 40, 90), bottom=(250, 150, 90), things=own_pictures.THINGS[:1]).astype(float)
    y, x = np.mgrid[:SIDE, :SIDE]
    mask = (np.hypot(y - 0.2 * SIDE, x - 0.8 * SIDE) < 50) * 1.0
    shown = np.broadcast_to(mask[..., None] * 255, day.shape)
    rows = {"under, over, mask": np.stack([finished(each) for each in (day, dusk, shown)])}
    plain, made = jump(alpha(day, dusk, mask), mask), {}
    for name, join in WAYS.items():
        began = time.monotonic()
        made[name] = join(day, dusk, mask)
        seconds = time.monotonic() - began
        print(f"{name}: the rim jumps {jump(made[name], mask) / plain:.0%} of a plain paste's, {seconds:.2f} s")
    print(f"poisson: residual {residual(made['poisson'], day, dusk, mask):.1e} of the right side")
    titles = list(WAYS)
    for first in (titles[:3], titles[3:]):
        rows["; ".join(first)] = np.stack([finished(made[name]) for name in first])
    tile = seamless(own_pictures.currents().astype(np.float64))
    four = [fit(finished(np.tile(each, (2, 2, 1))), SIDE, SIDE) for each in (own_pictures.currents(), tile)]
    rows["a texture four times side by side, as it was; and made seamless"] = np.stack(four)
    whole = own_pictures.scene().astype(np.float64)
    joined = panorama([whole[:, :160], whole[:, 100:]])
    print(f"panorama: differs from the whole by {np.abs(joined - whole).max():.1f} levels at most")
    durable.write_file(given.sheet, encoded(labelled_rows(rows)))


def jump(image: np.ndarray, mask: np.ndarray) -> float:
    """The mean size of the step across the rim of the mask, in levels."""
    inside = mask > 0.5
    steps = []
    for axis in (0, 1):
        across = np.diff(inside.astype(int), axis=axis) != 0
        steps.append(np.abs(np.diff(image, axis=axis)).mean(2)[across])
    return float(np.concatenate(steps).mean())


if __name__ == "__main__":
    main()
