"""How well a restorer restores: `python -m benchmarks.quality_restoration TRAIN TEST --model srnet --degrade down:2`.

TRAIN is a folder or an archive of pictures, all of them trained on, whatever splits they lie in; TEST is a folder.
Enlarging is judged as the tables of super-resolution are (metrics/superresolution.py: brightness, 8 bits, a border
cut), everything else by the PSNR over the whole picture, clipped but not rounded, beside that of the degraded picture.
Holes are judged by what lies in them, beside a diffusion fill; Gaussian blur of one strength beside a Wiener filter
that knows the blur and is tuned on the very pictures (classical.py).

Published on Set5: SRCNN 36.66/32.75/30.48, FSRCNN 37.00/33.16/30.71, VDSR 37.53/33.66/31.35 at x2/x3/x4. On Set12:
BM3D 32.37/29.97/26.72, DnCNN-S 32.86/30.44/27.18, FFDNet 32.75/30.43/27.32 at noise 15/25/50.
"""

from __future__ import annotations

import argparse
import re
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import limner
import limner.config
from limner import durable, models
from limner.images.bicubic import resize
from limner.images.colour import with_channels
from limner.images.degrade import Degradation, parse
from limner.images.grid import grid
from limner.images.metadata import encode_png
from limner.images.read import decode
from limner.metrics.superresolution import evaluate_pair, luma, modcrop
from limner.rng import generator
from limner.tasks.apply import How
from limner.tasks.restore import Told, back_projected, restore, values
from limner.training.show import TerminalShow

from . import classical, machine

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("test")
    parser.add_argument("--model", default="srnet")
    parser.add_argument("--degrade", default="down:2")
    parser.add_argument("--judge", action="append", default=[], metavar="CHAIN", help="other damage to judge it on")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--patch", type=int, default=None)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="judge this finished run instead of training one")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the model")
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--lr", type=float, default=None)
    parser.add_argument("--sheet", type=Path, default=None, help="write true, degraded and restored crops to this PNG")
    given = parser.parse_args()
    watch = machine.Watch()
    trained = limner.load(given.run) if given.run else _train(given)
    others, about = watch.others(), trained.about
    print(
        f"{trained.name} {given.degrade}: {about['minutes']} minutes, {about['images_shown']:,} patches, "
        f"{torch.get_num_threads()} threads, seed {given.seed} {' '.join(given.set)}; "
        f"others took {others:.0f} % of the machine"
    )
    pictures = _pictures(Path(given.test))
    chains = [parse(text) for text in given.judge or [given.degrade]]
    for chain in chains:
        _judge(trained, chain, pictures, given.channels)
    if given.sheet is not None:
        durable.write_file(given.sheet, encode_png(_sheet(trained, chains[0], pictures, given.channels)))


def _train(given: argparse.Namespace) -> limner.Trained:
    config = models.entry(given.model).load().Config
    reading = {"channels": given.channels, "degrade": given.degrade}
    if given.patch is not None:
        reading["patch"] = given.patch
    more = {name: getattr(given, name) for name in ("batch", "lr") if getattr(given, name) is not None}
    return limner.train(
        given.model,
        flat(Path(given.train)),
        out=tempfile.mkdtemp(prefix="limner-restoration-") + "/run",
        config=limner.config.parse_assignments(given.set, {"model": config})["model"],
        data_config=reading,
        budget=given.budget,
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
        **more,
    )


def _judge(trained: limner.Trained, chain: Degradation, pictures: list[np.ndarray], channels: int) -> None:
    """One line: mean quality of what was degraded (enlarged by bicubic where it is smaller), of what was restored,
    likewise in bf16, of the mean of eight turned and mirrored restorations, of what was restored and then made to
    shrink to what was given, and of what is had without learning.
    """
    cases = [_case(trained, chain, picture, place, channels) for place, picture in enumerate(pictures)]
    began = time.monotonic()
    ways = {"restored": How(), "in bf16": How(half=True), "self-ensemble": How(ensemble=True)}
    made = {name: [_restored(trained, case, how) for case in cases] for name, how in ways.items()}
    seconds = time.monotonic() - began
    if chain.text == f"down:{chain.scale}":  # by bicubic and nothing else, so that it can be undone in part
        made["consistent"] = [back_projected(one, case.bad) for one, case in zip(made["restored"], cases, strict=True)]
    parts = {"before": [case.start for case in cases], **made}
    parts |= _classical(cases, chain)
    means = {
        name: np.mean([_quality(one, case, chain.scale) for one, case in zip(each, cases, strict=True)])
        for name, each in parts.items()
    }
    words = ", ".join(f"{name} {mean:.2f} dB" for name, mean in means.items())
    where = " in the hole" if cases[0].told.hole is not None else ""
    print(f"{chain.text}: {words}{where}; {len(cases)} pictures in {seconds:.0f} s")


@dataclass(frozen=True)
class Case:
    """One picture to restore.

    true    (H, W, C) uint8
    bad     (h, w, c) as it is given to the model, with what is told beside it left out
    start   (H, W, C) what stands there without any restoration
    """

    true: np.ndarray
    bad: np.ndarray
    start: np.ndarray
    told: Told


def _case(trained: limner.Trained, chain: Degradation, picture: np.ndarray, place: int, channels: int) -> Case:
    picture = modcrop(luma(picture) if chain.scale > 1 else with_channels(picture, channels), chain.scale)
    bad = chain(picture[None], generator(0, "degrade", place))[0]
    told = _told(trained, chain, bad, picture.shape[2])
    bad = bad[..., : bad.shape[2] - len(chain.maps)]
    return Case(picture, bad, resize(bad, chain.scale) if chain.scale > 1 else bad, told)


def _classical(cases: list[Case], chain: Degradation) -> dict[str, list[np.ndarray]]:
    """What is had without learning, for the kinds of damage that have such a way."""
    if cases[0].told.hole is not None:
        return {"diffusion fill": [classical.diffused(case.bad, case.told.hole) for case in cases]}
    blur = re.fullmatch(r"blur:([\d.]+)(,.*)?", chain.text)
    if blur is None:
        return {}
    sharp = classical.wiener([case.bad for case in cases], [case.true for case in cases], float(blur[1]))
    return {"tuned Wiener": sharp}


def _restored(trained: limner.Trained, case: Case, how: How) -> np.ndarray:
    return np.concatenate([*values(trained.network, case.bad, case.told, how)])


def _quality(made: np.ndarray, case: Case, scale: int) -> float:
    if scale > 1:
        return evaluate_pair(np.floor(made + 0.5).clip(0, 255).astype(np.uint8), case.true, scale).psnr
    return classical.psnr(made, case.true, case.told.hole)


def _told(trained: limner.Trained, chain: Degradation, bad: np.ndarray, channels: int) -> Told:
    """What a model may be told: the true hole, and the true level of the noise where the chain says one."""
    if "hole" in chain.maps:
        return Told(hole=bad[..., channels + chain.maps.index("hole")] > 127)
    levels = [part.split(":")[1] for part in chain.text.split(",") if part.startswith("noise:")]
    return Told(level=float(levels[0])) if levels and "-" not in levels[0] else Told()


def _sheet(trained: limner.Trained, chain: Degradation, pictures: list[np.ndarray], channels: int) -> np.ndarray:
    """Crops of 128 pixels: true, degraded, restored, a row for each picture."""
    rows = []
    for place, picture in enumerate(pictures[:6]):
        picture = modcrop(with_channels(picture, channels) if chain.scale == 1 else picture, chain.scale)
        bad = chain(picture[None], generator(0, "degrade", place))[0]
        told = _told(trained, chain, bad, picture.shape[2])
        bad = np.floor(bad[..., : bad.shape[2] - len(chain.maps)] + 0.5).clip(0, 255).astype(np.uint8)
        made = restore(trained.network, bad, told)
        start = resize(bad, chain.scale) if chain.scale > 1 else bad
        for shown in (picture, start, made):
            top, left = (max(0, (side - 128) // 2) for side in shown.shape[:2])
            rows.append(with_channels(shown[top : top + 128, left : left + 128], 3))
    return grid(np.stack(rows), columns=3, scale=2)


def _pictures(path: Path) -> list[np.ndarray]:
    return [decode(file) for file in sorted(path.rglob("*")) if file.suffix.lower() in ENDINGS]


def flat(path: Path) -> str:
    """The pictures of an archive in one folder without splits; a folder as it is."""
    if path.is_dir():
        return str(path)
    folder = Path(tempfile.gettempdir()) / f"limner-flat-{path.stem}"
    if not folder.is_dir():
        folder.mkdir()
        with tarfile.open(path) as archive:
            for member in archive:
                name = Path(member.name)
                if member.isfile() and name.suffix.lower() in ENDINGS:
                    stored = archive.extractfile(member)
                    assert stored is not None
                    (folder / name.name).write_bytes(stored.read())
    return str(folder)


if __name__ == "__main__":
    main()
