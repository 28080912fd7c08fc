"""Chains of degradations, as they are written on a command line and kept in a run.

a,b      first a, then b
a|b      one of them, drawn for each picture
a?       a, or nothing, evenly
a:1:2    a step with its numbers; where one is a range, 0-55, each picture draws its own
    old      an old photograph: faded, scratched, a little blurred and noisy
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import ConfigError, unknown
from . import age, basic, blur, edges, holes, sensor
from .step import Degraded, Plain, Step

Maker = Callable[[Sequence[str]], Step]

STEPS: Mapping[str, Maker] = {
    **basic.STEPS,
    **blur.STEPS,
    **sensor.STEPS,
    **holes.STEPS,
    **age.STEPS,
    **edges.STEPS,
}
SHORT = {"old": age.OLD}  # names for whole chains


@dataclass(frozen=True)
class Degradation:
    """A chain, ready to use: a function of pictures and of a random stream.

    text     as it was written
    scale    what the sides of a picture are divided by
    margin   pixels beyond the edge that would change what it makes at the edge
    maps     names of what is told beside the picture; their channels come last
    """

    text: str
    steps: tuple[Step, ...]
    scale: int
    margin: int
    maps: tuple[str, ...]

    def channels(self, given: int) -> int:
        """Channels of what comes out, maps among them."""
        for step in self.steps:
            given = step.channels(given)
        return given + len(self.maps)

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """(B, H, W, C) uint8 or float32 in 0 … 255 -> (B, h, w, c + maps) float32 in the same units.

        Transparency, a fourth channel, is shrunk with the picture and otherwise left alone; what gives one channel
        sees the picture on white. Raises ConfigError where the sides are no multiples of the scale.
        """
        height, width = images.shape[1:3]
        if height % self.scale or width % self.scale:
            raise ConfigError(f"pictures of {height}x{width} cannot be made {self.scale} times as small; cut them")
        images, maps = images.astype(np.float32), []
        for step in self.steps:
            made = _beneath(step, images, rng) if images.shape[3] == 4 else step(images, rng)
            images = made.images
            if made.maps is not None:
                maps.append(made.maps)
        return np.concatenate([images, *maps], axis=3) if maps else images


def _beneath(step: Step, images: np.ndarray, rng: np.random.Generator) -> Degraded:
    """A step on (B, H, W, 4): transparency is no colour. It is kept, shrunk with the picture, or laid on white."""
    colours, alpha = images[..., :3], images[..., 3:]
    if step.channels(4) != 4:
        return step(255 + alpha / 255 * (colours - 255), rng)
    if step.scale > 1:
        return step(images, rng)
    made = step(colours, rng)
    return made._replace(images=np.concatenate([made.images, alpha], axis=3))


def parse(text: str) -> Degradation:
    """The chain that `text` says; raises ConfigError for what it cannot say."""
    words = ",".join(SHORT.get(part.strip(), part) for part in text.split(","))
    steps = tuple(_step(part) for part in words.split(",") if part.strip())
    if not steps:
        raise ConfigError(f"degrade={text!r} names no step; use for example noise:25 or down:2; {_names()}")
    scale, margin = 1, 0
    for place, step in enumerate(steps):
        if step.maps and any(later.scale > 1 for later in steps[place:]):
            raise ConfigError(f"degrade={text!r}: what shrinks must come before what adds a map ({step.maps[0]})")
        margin += step.margin * scale
        scale *= step.scale
    margin = -(-margin // scale) * scale  # whole pixels of the source
    return Degradation(text, steps, scale, margin, tuple(name for step in steps for name in step.maps))


def _step(text: str) -> Step:
    if "|" in text:
        return OneOf(tuple(_step(part) for part in text.split("|")))
    text = text.strip()
    if text.endswith("?"):
        return OneOf((_step(text[:-1]), Nothing()))
    name, *numbers = (part.strip() for part in text.split(":"))
    if name in SHORT:
        raise ConfigError(f"{text!r}: {name} is short for {SHORT[name]}; write it alone between commas, or that")
    if name not in STEPS:
        raise ConfigError(unknown("degradation", name, [*STEPS, *SHORT]))
    return STEPS[name](numbers)


def _names() -> str:
    return f"there are {', '.join(STEPS)}"


class Nothing(Plain):
    """Leaves pictures as they are."""

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        return Degraded(images)


class OneOf(Plain):
    """One of several steps, drawn for each picture."""

    def __init__(self, steps: Sequence[Step]) -> None:
        if any(step.scale != 1 or step.maps or step.channels(3) != 3 for step in steps):
            raise ConfigError("only steps that keep size and channels, and add no map, can be left to chance")
        self.steps = tuple(steps)
        self.margin = max(step.margin for step in steps)

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> Degraded:
        chosen = rng.integers(len(self.steps), size=len(images))
        out = np.empty_like(images)
        for place, step in enumerate(self.steps):
            mine = chosen == place
            if mine.any():
                out[mine] = step(images[mine], rng).images
        return Degraded(out)
