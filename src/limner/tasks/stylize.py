"""A picture in the manner of others: its pixels are moved until maps of a frozen network have the statistics of theirs.

Coarse pictures first, then finer ones, so that large strokes come out at a fraction of the cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ConfigError, unknown
from ..features.perception import NAMES, Perception, check_size, perception
from ..images.colour import with_channels
from ..images.compose import finished
from ..images.grid import from_uint8, to_uint8
from ..images.resize import fit
from ..losses import style as losses

Statistics = Literal["gram", "transport", "moments", "whitening"]
_SMALLEST = 128  # pixels of the longer side of the first, coarse picture
_RATE = 0.03  # of the optimiser, in units of the range of 2
_LEVELS = 4  # scales that a picture is moved at
_SHIFT = 4  # pixels
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Manner:
    """How a picture is stylised.

    statistics   of the styles' features that are taken over: gram (Gatys) or transport (sliced optimal transport),
                 which forget where things are; moments (AdaIN) or whitening (mean and covariance, by the shortest
                 way), which move the picture's own features and keep its outlines
    strength     0 keeps the picture, 1 is all style; in between, of both
    keep_colour  whether the picture keeps its own colours, and takes brush strokes alone
    steps        of the optimiser at each size
    features     lite0, vgg19 (with `weights`) or random
    seed         of the directions of transport
    """

    statistics: Statistics = "gram"
    strength: float = 0.7
    keep_colour: bool = False
    steps: int = 120
    features: str = "lite0"
    weights: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.statistics not in get_args(Statistics):
            raise ConfigError(unknown("statistics", self.statistics, get_args(Statistics)))
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength={self.strength} is not from 0 (the picture) to 1 (all style)")
        if self.steps < 1:
            raise ConfigError(f"steps={self.steps} is not positive")
        if self.features not in NAMES:
            raise ConfigError(unknown("features", self.features, NAMES))


USUAL = Manner()


def stylize(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    *,
    shares: Sequence[float] | None = None,
    manner: Manner = USUAL,
    say: Callable[[str], None] = lambda text: None,
) -> np.ndarray:
    """(H, W, C) uint8 and pictures of any sizes, uint8 -> (H, W, 3) uint8.

    shares   how much of each style; evenly by default
    Strength 0 gives the picture back. Raises ConfigError for a picture that is too small, and for no style.
    """
    weights = _shares(len(styles), shares)
    content = with_channels(content, 3)
    if manner.strength == 0:
        return content.copy()
    network = perception(manner.features, manner.weights)
    check_size(network, content.shape[:2])
    pictures = [with_channels(picture, 3) for picture in styles]
    if manner.keep_colour:
        pictures = [_coloured(picture, content) for picture in pictures]
    image: Tensor | None = None
    for height, width in _sizes(*content.shape[:2]):
        say(f"{height}x{width}")
        given = _tensor(fit(content, height, width, how="squash"))
        targets = [_tensor(_scaled(picture, max(height, width))) for picture in pictures]
        start = given if image is None else functional.interpolate(image, (height, width), mode="bicubic")
        image = _moved(network, start.clone(), given, targets, weights, manner)
    assert image is not None
    made = to_uint8(image.clamp(-1, 1).numpy())[0]
    return _with_colours_of(content, made) if manner.keep_colour else made


def _moved(
    network: Perception, image: Tensor, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], how: Manner
) -> Tensor:
    """(1, 3, H, W): `image` after the optimiser's steps."""
    cost = _Cost(network, content, styles, weights, how)
    bands = _Bands(image)
    optimizer = torch.optim.Adam(bands.levels, lr=_RATE, betas=(0.9, 0.99))
    stream = torch.Generator().manual_seed(how.seed)
    for step in range(how.steps):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - 0.9 * step / how.steps)
        optimizer.zero_grad()
        # moved a little each time: a network that halves without smoothing would draw its own grid otherwise
        shift = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=stream).tolist()
        cost(bands.image(), shift).backward()
        optimizer.step()
    return bands.image().detach()


class _Bands:
    """A picture as a start and what is added to it at several scales: moved together they move smooth things first."""

    def __init__(self, start: Tensor) -> None:
        self.start, self.levels = start, []
        for level in range(_LEVELS):
            sides = [max(1, -(-side // 2**level)) for side in start.shape[2:]]
            self.levels.append(torch.zeros(1, 3, *sides, requires_grad=True))

    def image(self) -> Tensor:
        size = self.start.shape[2:]
        added = [functional.interpolate(one, size, mode="bilinear", align_corners=False) for one in self.levels]
        return (self.start + torch.stack(added).sum(0)).clamp(-1.05, 1.05)


class _Cost:
    """What is minimised: distance to the styles' statistics, to what the picture shows, and a little roughness."""

    def __init__(
        self, network: Perception, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], how: Manner
    ) -> None:
        self.network, self.weights, self.how = network, weights, how
        with torch.no_grad():
            self.shown = network(content)[network.content]
            self.styles = [network(style) for style in styles]
            self.grams = [[losses.gram(maps) for maps in one] for one in self.styles]
            self.along = [losses.directions(maps.shape[1], how.seed) for maps in self.styles[0]]
            self.wanted = self._moved(network(content)) if how.statistics in _MOVES else []

    def __call__(self, image: Tensor, shift: list[int]) -> Tensor:
        if self.wanted:
            shift = [0, 0]  # what is wanted is bound to its place
        seen = self.network(image.roll(shift, (2, 3)))
        shown = self.network(image)[self.network.content] if any(shift) else seen[self.network.content]
        kept = (shown - self.shown).square().mean() / (self.shown.square().mean() + 1e-5)
        strength = self.how.strength
        if self.wanted:
            styled = torch.stack([_share(ours, theirs) for ours, theirs in zip(seen, self.wanted, strict=True)]).mean()
            return strength * styled + (1 - strength) * kept + 0.02 * strength * losses.roughness(image)
        styled = image.new_zeros(())
        for share, maps, grams in zip(self.weights, self.styles, self.grams, strict=True):
            styled = styled + share * torch.stack(self._apart(seen, maps, grams)).mean()
        return 10 * strength**2 * styled + (1 - strength) * kept + 0.02 * strength * losses.roughness(image)

    def _moved(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The picture's own features with the statistics of the styles, each in its share."""
        move = _MOVES[self.how.statistics]
        return [
            sum((share * move(own, one[layer]) for share, one in zip(self.weights, self.styles, strict=True)), 0 * own)
            for layer, own in enumerate(maps)
        ]

    def _apart(self, seen: Sequence[Tensor], maps: Sequence[Tensor], grams: Sequence[Tensor]) -> list[Tensor]:
        if self.how.statistics == "gram":
            return [losses.gram_distance(ours, theirs) for ours, theirs in zip(seen, grams, strict=True)]
        sides = zip(seen, maps, self.along, strict=True)
        return [losses.sliced_distance(ours, theirs, along) for ours, theirs, along in sides]


_MOVES = {"moments": losses.renormalised, "whitening": losses.whitened}


def _share(ours: Tensor, theirs: Tensor) -> Tensor:
    """Scalar: the squared distance of two maps as a share of the second's size."""
    return (ours - theirs).square().mean() / (theirs.square().mean() + 1e-5)


def _shares(count: int, shares: Sequence[float] | None) -> list[float]:
    """Of each style, with a sum of 1."""
    if not count:
        raise ConfigError("no style was given; name one picture or more")
    given = [1.0] * count if shares is None else list(shares)
    if len(given) != count or not all(0 <= share < math.inf for share in given) or sum(given) <= 0:
        raise ConfigError(f"{given} are no shares of {count} styles; give one of 0 or more for each, not all 0")
    return [share / sum(given) for share in given]


def _sizes(height: int, width: int) -> list[tuple[int, int]]:
    """From coarse to the picture's own: each at most twice the one before."""
    found, longest = [(height, width)], max(height, width)
    while longest > 1.5 * _SMALLEST and min(found[0]) >= 64:
        longest = -(-longest // 2)
        scale = longest / max(height, width)
        found.insert(0, (max(32, round(scale * height)), max(32, round(scale * width))))
    return found


def _scaled(picture: np.ndarray, longest: int) -> np.ndarray:
    """A style at the size of the picture, its shape kept: strokes are as large as they are there."""
    scale = longest / max(picture.shape[:2])
    height, width = (max(32, round(scale * side)) for side in picture.shape[:2])
    return fit(picture, height, width, how="squash")


def _tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(from_uint8(picture[None]))


def _coloured(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """A style in the colours of the picture (mean and covariance). Source: Gatys et al. 2017, arXiv 1611.07865, 5.1."""
    from ..images.compose.colours import transported

    flat = style.reshape(-1, 3).astype(np.float64)
    return finished(transported(flat, flat, content.reshape(-1, 3).astype(np.float64)).reshape(style.shape))


def _with_colours_of(content: np.ndarray, made: np.ndarray) -> np.ndarray:
    """The brightness of what was made with the colour differences of the picture."""
    moved = (made.astype(np.float64) - content) @ _LUMA
    return finished(content + moved[..., None])
