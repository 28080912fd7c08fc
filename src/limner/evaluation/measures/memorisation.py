"""Whether the model copies its training images, and whether it tells them from others.

Neighbours are looked for among downscaled pixels, and in the feature space of the evaluation where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DataError
from ...images.grid import from_uint8
from ...metrics import memorisation as copying
from ...metrics.data_copying import data_copying
from ...metrics.membership import Membership
from ...metrics.membership import membership as attack
from ...metrics.memorisation import Estimate, Nearness
from ...metrics.neighbours import PIXEL_SIDE, nearest, small_pixels
from ...metrics.number import Better, Interval, Number
from ...metrics.verdict import SURE, Verdict, combined, judge
from ...model import Encodes, Scores
from ...rng import ImageRng, generator
from ...tasks.reconstruct import reconstruct
from ...tasks.tiles import device_of
from ...types import Condition
from ..material import ImageSet, Material, NotApplicable

FLAGGED = 24  # copies shown in the report
ATTACKED = 1_000  # images on either side of the membership attack
SCORED = 32  # images at once
QUANTILE = 0.01
PIXELS = "pixels"  # the space that needs no extractor


def memorisation(material: Material) -> list[Number]:
    """The verdict on copying with the copied share, and the published measures: C_T, AuthPct, near duplicates …

    Without held-out images, training images each among the others are the baseline. The first number has the verdict
    over all spaces in its details.
    """
    if material.train is None:
        raise NotApplicable(
            "the training images are not known; evaluate against the data that the model was trained on"
        )
    makers = [_Maker(material, space, rows) for space, rows in _spaces(material).items()]
    verdicts = {maker.space: judge(maker.near) for maker in makers}
    over_all = combined(verdicts, held_out=material.held_out is not None)
    makers.sort(key=lambda maker: verdicts[maker.space].share is not over_all.share)  # the space that decides is first
    first, *others = (maker.copied(verdicts[maker.space]) for maker in makers)
    published = [number for maker in makers for number in maker.published()]
    notes = (
        f"{over_all.word}: {over_all.reasons[0]}",
        *first.notes,
        *(note for maker in makers for note in maker.missing),
    )
    details = {**first.details, "verdict": over_all.word, "reasons": list(over_all.reasons)}
    return [replace(first, notes=notes, details=details), *others, *published]


class _Maker:
    """Numbers of one material in one space."""

    def __init__(self, material: Material, space: str, rows: Callable[[ImageSet], np.ndarray]) -> None:
        assert material.train is not None  # the caller has looked
        self._material, self.space, self._train = material, space, material.train
        self._generated, self._known = rows(material.generated), rows(material.train)
        self._others = None if material.held_out is None else rows(material.held_out)
        self.near = copying.nearness(self._generated, self._known, self._others, seed=material.seed)
        self._settings: dict[str, Any] = {
            "space": space,
            "train": len(self._known),
            "train_sha256": material.train.digest,
            "held_out": self.near.held_out_count,
        }
        self.missing: list[str] = []

    def copied(self, found: Verdict) -> Number:
        """The number that the verdict rests on, with the images that gave rise to it in its details."""
        alone = self._others is None
        name = "close copies" if alone else "copied share"
        number = self.number(name, found.share, "lower", "Newcombe" if alone else "Wilson", level=SURE)
        details = {"verdict in this space": found.word, "flagged": flagged(self.near, self._train)}
        return replace(number, details={**number.details, **details})

    def published(self) -> list[Number]:
        """The published measures, but for those that there are too few images for: these go to `missing`."""
        made = []
        for measure in (self._near_duplicates, self._distance_ratio, self._authentic, self._c_t):
            try:
                number = measure()
            except DataError as reason:
                self.missing.append(str(reason))
            else:
                smooth = "smooth images are near to all others too; the verdict tells them from copies"
                made.append(replace(number, notes=(*number.notes, smooth)))
        return made

    def _near_duplicates(self) -> Number:
        quantile = max(QUANTILE, 1 / len(self.near.baseline.indices))
        found = copying.near_duplicates(self.near, quantile=quantile)
        return self.number("near duplicates", found, "lower", "Wilson", quantile=quantile)

    def _distance_ratio(self) -> Number:
        found = copying.distance_ratio(self.near, seed=self._material.seed)
        return self.number("distance ratio", found, "neither", "bootstrap over images")

    def _authentic(self) -> Number:
        return self.number("AuthPct", _percent(copying.authenticity(self.near)), "neither", "Wilson", unit="%")

    def _c_t(self) -> Number:
        found = data_copying(self._generated, self._known, self._others, seed=self._material.seed)
        share = Estimate(found.value, found.low, found.high, expected=0.0)
        return self.number("C_T", share, "neither", "DeLong's variance in each cell", cells=len(found.cells))

    def number(
        self,
        name: str,
        found: Estimate,
        better: Better,
        method: str,
        *,
        level: float = 0.95,
        unit: str = "",
        **settings: Any,
    ) -> Number:
        name = f"{name} ({self.space})"
        protocol = self._material.protocol(name, features=self.space != PIXELS, **self._settings, **settings)
        interval = Interval(found.low, found.high, level, method)
        details = {} if found.expected is None else {"expected of images that are no copies": found.expected}
        baseline = "held-out" if self.near.held_out is not None else "other training"
        note = f"the baseline is {len(self.near.baseline.indices):,} {baseline} images"
        return Number(name, found.value, better, protocol, interval, unit=unit, notes=(note,), details=details)


def _percent(share: Estimate) -> Estimate:
    expected = None if share.expected is None else 100 * share.expected
    return Estimate(100 * share.value, 100 * share.low, 100 * share.high, expected)


def flagged(near: Nearness, train: ImageSet) -> list[dict[str, Any]]:
    """Up to 24 generated images that equal a training image or are close to one alone, the closest first; plain values.

    row of the generated image, name and row of the training image, distance, and distance to the second nearest
    """
    first, second = near.generated.distances.T
    rows = np.flatnonzero(copying.is_close(near.generated) | copying.is_exact(near.generated))
    rows = rows[np.argsort(first[rows] / np.maximum(second[rows], 1e-300), kind="stable")][:FLAGGED]
    places = near.generated.indices[rows, 0]
    return [
        {
            "row": int(row),
            "train_row": int(place),
            "train": train.ids[place] if train.ids else str(place),
            "distance": float(first[row]),
            "second_distance": float(second[row]),
        }
        for row, place in zip(rows, places, strict=True)
    ]


def _spaces(material: Material) -> dict[str, Callable[[ImageSet], np.ndarray]]:
    """The spaces that neighbours are looked for in, by name, and what brings images there."""
    spaces: dict[str, Callable[[ImageSet], np.ndarray]] = {PIXELS: pixels}
    if material.extractor is not None:
        spaces[material.extractor.name] = lambda side: np.asarray(material.features(side).pooled)
    return spaces


def pixels(images: ImageSet) -> np.ndarray:
    """(N, D) float32: the images as rows of at most 32x32 pixels, made a chunk at a time."""
    return np.concatenate([small_pixels(chunk, side=PIXEL_SIDE) for chunk in images.chunks()])


# --- membership inference ---------------------------------------------------------------------------------------------


def membership(material: Material) -> list[Number]:
    """How well training images are told from held-out ones: by likelihood, by reconstruction, or by generated images.

    The first of these that the model's abilities allow is taken; a folder is attacked by the distance of real images to
    the generated ones. Sources: Yeom et al. 2018, arXiv 1709.01604; Hilprecht et al. 2019 for reconstruction; Chen
    et al. 2020, GAN-Leaks, arXiv 1909.03935, section 5.1 for distances.
    """
    if material.train is None or material.held_out is None:
        raise NotApplicable(
            "it compares training images with held-out ones; the data needs a train and a test or val split"
        )
    sides = [_some(side, material.seed) for side in (material.train, material.held_out)]
    how, score = _attack(material, sides)
    found = attack(*(score(side) for side in sides))
    settings = {"attack": how, "members": found.members, "others": found.others}
    protocol = material.protocol(f"membership AUC ({how})", features=False, **settings)
    notes = (
        f"{found.members:,} training images against {found.others:,} held-out ones, told apart by {how}",
        "a difference in kind between the two splits counts as success of the attack",
    )
    auc = Number(
        f"membership AUC ({how})",
        found.auc,
        "lower",
        protocol,
        Interval(found.low, found.high, found.level, "DeLong"),
        notes=notes,
        details=asdict(found),
    )
    return [auc, _true_positives(auc, found)]


def _true_positives(auc: Number, found: Membership) -> Number:
    interval = Interval(found.tpr_low, found.tpr_high, found.level, "Wilson, for the threshold as it was found")
    name = auc.name.replace("AUC", f"TPR at {found.fpr:.0%} FPR")
    protocol = replace(auc.protocol, metric=name)
    return replace(auc, name=name, value=found.tpr, protocol=protocol, interval=interval, details={})


def _attack(material: Material, sides: Sequence[ImageSet]) -> tuple[str, Callable[[ImageSet], np.ndarray]]:
    """What the attack goes by, and the scores (N,) of images, higher for what looks like a training image."""
    model = material.model
    height, width, channels = sides[0].images.shape[1:]
    fits = model is not None and model.data.shape == (channels, height, width)
    if fits and isinstance(model, Scores):
        return "likelihood", lambda side: _scored(material, side, _likelihood)
    if fits and isinstance(model, Encodes):
        return "reconstruction", lambda side: _scored(material, side, _reconstruction)
    made = pixels(material.generated)
    return "distance", lambda side: -nearest(pixels(side), made).distances[:, 0]


def _scored(
    material: Material, side: ImageSet, score: Callable[[Any, Tensor, Condition, range, int], Tensor]
) -> np.ndarray:
    parts = []
    for start in range(0, len(side), SCORED):
        rows = range(start, min(start + SCORED, len(side)))
        image = torch.from_numpy(from_uint8(np.asarray(side.images[rows.start : rows.stop])))
        condition = side.condition(rows)
        parts.append(score(material.model, image, condition, rows, material.seed))
    return torch.cat(parts).double().cpu().numpy()


def _likelihood(model: Any, image: Tensor, condition: Condition, rows: range, seed: int) -> Tensor:
    device = device_of(model)
    rng = ImageRng(seed, rows, device, purpose="membership")
    with torch.no_grad():  # a flow's density takes gradients, which inference mode forbids
        return model.log_likelihood(image.to(device), condition.to(device), rng, 8)


def _reconstruction(model: Any, image: Tensor, condition: Condition, rows: range, seed: int) -> Tensor:
    return -(reconstruct(model, image, condition) - image).square().flatten(1).mean(1)


def _some(side: ImageSet, seed: int) -> ImageSet:
    return side.take(np.sort(generator(seed, "membership").permutation(len(side))[:ATTACKED]))
