"""Pages that ask people: blind pairs, or real-or-fake. One HTML file each, which works offline and sends nothing.

What the page holds tells nothing of where an image came from: ids are random, both they and the pictures are in the
order of the ids, every picture has the same size. The key goes to a file of its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ...errors import ConfigError
from ...images.grid import displayable
from ...images.metadata import encode_png
from ..page.render import environment
from . import plan
from .key import Key, Mode, Shown

HERE = Path(__file__).parent / "templates"
MAX_PAGE = 150 << 20  # bytes; browsers grow slow beyond
BETTER, REAL_OR_FAKE = "Which picture looks better?", "Is this picture real?"
_SMALL = 128  # pixels: pictures below are enlarged pixel by pixel
_ENLARGED = 8  # times, at most: nobody judges pixels as large as thumbs


@dataclass(frozen=True)
class Asked:
    """What raters read and may do.

    descriptions    what row k of every source should show; pairs are then of equal rows
    limit_seconds   how long a picture is shown; None for as long as one looks
    """

    question: str
    ties: bool = False
    descriptions: Sequence[str] = ()
    limit_seconds: float | None = None

    @property
    def described(self) -> bool:
        return bool(self.descriptions)


def make_pairwise_page(
    sources: Mapping[str, np.ndarray],
    *,
    trials: int = 100,
    gold: int = 10,
    seed: int = 0,
    question: str = BETTER,
    ties: bool = False,
    descriptions: Sequence[str] = (),
) -> tuple[str, Key]:
    """The page on which people choose the better of two pictures of different sources, and its key.

    sources        two or more: name -> (N, H, W, C) uint8, all of one height and width
    trials, gold   questions that count, and further ones with a scrambled picture that show who pays attention
    ties           whether "cannot decide" is an answer
    descriptions   what picture k of every source should show: then pictures k are compared with each other

    Raises ConfigError for sources that do not fit together or are too few for so many trials.
    """
    if len(sources) < 2:
        raise ConfigError(f"{len(sources)} source cannot be compared; give two or more")
    _check(sources, trials=trials, gold=gold)
    sizes = [len(images) for images in sources.values()]
    if descriptions and len(descriptions) < max(sizes):
        raise ConfigError(f"{len(descriptions)} descriptions are too few for {max(sizes)} images; give one for each")
    questions = plan.pairwise(sizes, trials=trials, gold=gold, seed=seed, matched=bool(descriptions))
    return _page("pairwise", sources, None, plan.named(questions, seed=seed), Asked(question, ties, descriptions), seed)


def make_real_or_fake_page(
    real: np.ndarray,
    sources: Mapping[str, np.ndarray],
    *,
    trials: int = 100,
    gold: int = 5,
    seed: int = 0,
    question: str = REAL_OR_FAKE,
    limit_seconds: float | None = None,
) -> tuple[str, Key]:
    """The page on which people say of one picture at a time whether it is real, and its key.

    real, sources   (N, H, W, C) uint8 real images, and one or more sources of made ones, all of one height and width
    trials          half of them real, half made, shared out over the sources
    gold            further trials with a scrambled picture, which nobody should take for real
    limit_seconds   how long a picture is shown

    Raises ConfigError for images that do not fit together or are too few for so many trials.
    """
    if not sources:
        raise ConfigError("there are no made pictures to judge; give at least one source")
    _check({"real images": real, **sources}, trials=trials, gold=gold)
    if limit_seconds is not None and not 0.05 <= limit_seconds <= 60:
        raise ConfigError(f"limit_seconds={limit_seconds} is not from 0.05 to 60")
    sizes = [len(images) for images in sources.values()]
    questions = plan.real_or_fake(len(real), sizes, trials=trials, gold=gold, seed=seed)
    asked = Asked(question, limit_seconds=limit_seconds)
    return _page("real-or-fake", sources, real, plan.named(questions, seed=seed), asked, seed)


def _check(sources: Mapping[str, np.ndarray], *, trials: int, gold: int) -> None:
    if trials < 2 or gold < 0:
        raise ConfigError(
            f"trials={trials}, gold={gold}: there must be at least 2 trials, and no fewer than 0 gold ones"
        )
    for name, images in sources.items():
        if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape:
            raise ConfigError(f"images of {name} are {images.dtype} {images.shape}; they must be uint8 (N, H, W, C)")
    sizes = {name: f"{images.shape[1]}x{images.shape[2]}" for name, images in sources.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ConfigError(f"images differ in size ({told}), which would tell them apart; bring them to one size")


def _page(
    mode: Mode, sources: Mapping[str, np.ndarray], real: np.ndarray | None, named: plan.Named, asked: Asked, seed: int
) -> tuple[str, Key]:
    digests = tuple(hashlib.sha256(np.ascontiguousarray(images).data).hexdigest() for images in sources.values())
    key = Key(
        page="",
        mode=mode,
        question=asked.question,
        seed=seed,
        sources=tuple(sources),
        digests=digests,
        images=named.images,
        trials=named.trials,
        ties=asked.ties,
        limit_seconds=asked.limit_seconds,
    )
    key = replace(key, page=hashlib.sha256(key.to_json().encode()).hexdigest()[:16])
    arrays = [*sources.values(), *([] if real is None else [real])]  # REAL is -1: the last
    pictures = {name: _address(arrays[shown.source], shown, seed) for name, shown in key.images.items()}
    trials = [
        {"id": name, "images": trial.images, "text": _text(asked, key.images[trial.images[0]])}
        for name, trial in key.trials.items()
    ]
    data = {"page": key.page, "mode": mode, "ties": asked.ties, "limit": asked.limit_seconds}
    html = _rendered(data | {"trials": trials, "images": pictures}, asked, arrays[0].shape[1:3])
    if len(html) > MAX_PAGE:
        raise ConfigError(
            f"the page would be {len(html) >> 20:,} MiB large, over {MAX_PAGE >> 20}; ask for fewer trials or "
            "smaller images"
        )
    return html, key


def _text(asked: Asked, shown: Shown) -> str:
    return asked.descriptions[shown.row] if asked.descriptions else ""


def _address(images: np.ndarray, shown: Shown, seed: int) -> str:
    """An image as a `data:` address. All are written alike, in three channels, so that the file tells nothing."""
    image = displayable(np.asarray(images[shown.row])[None])[0]
    if shown.scrambled:
        image = plan.scramble(image, seed=seed, index=shown.row)
    image = np.broadcast_to(image, (*image.shape[:2], 3))
    return "data:image/png;base64," + base64.b64encode(encode_png(np.ascontiguousarray(image))).decode()


def _rendered(data: Mapping[str, Any], asked: Asked, size: tuple[int, int]) -> str:
    script = (HERE / "people.js").read_text(encoding="utf-8")
    return (
        environment(HERE)
        .get_template("people.html")
        .render(
            asked=asked,
            data=data,
            count=len(data["trials"]),
            pairwise=data["mode"] == "pairwise",
            ratio=f"{size[1]} / {size[0]}",
            small=max(size) < _SMALL,
            widest=_ENLARGED * size[1],
            script=Markup(script),
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )
