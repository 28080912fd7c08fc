"""The model that a run would hand out now: averaged weights, running statistics as they stand, density fitted."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..data.dataset import Dataset
from ..data.loader import to_batch
from ..model import FitsDensity, Model, Step
from ..rng import StepRng, generator
from ..tasks.reconstruct import encode
from ..tasks.tiles import device_of
from .ema import NAMES, Averages

FIT_IMAGES = 2_048  # images whose latents a density is fitted to while training goes on
FIT_IMAGES_FINAL = 10_000
VALIDATE_IMAGES = 1_024
RAW = "raw"


def assemble(model: Model, averages: Averages, weights: str, step: int) -> Model:
    """A copy of `model` in eval mode with its weights of that name after `step` steps: raw, ema_short or ema_long."""
    assembled = copy.deepcopy(model).eval()
    if weights != RAW:
        tensors = averages.at(weights, step)
        with torch.no_grad():
            for name, parameter in assembled.named_parameters():
                if name in tensors:  # frozen parts have no average
                    parameter.copy_(tensors[name])
    return assembled


def fit_density(model: Model, dataset: Dataset, *, seed: int, images: int = FIT_IMAGES) -> None:
    """Fit the density over latents of a model that has one, on that many training images."""
    if isinstance(model, FitsDensity):
        model.fit_density(_encoded(model, dataset, seed=seed, images=images), seed)


def validation_loss(model: Model, dataset: Dataset, *, seed: int) -> float:
    """The mean loss of a one-phase model over the first images of a validation split.

    The noise is keyed, so two models are compared on the same draws; loss schedules stand at their end.
    """
    total, seen = 0.0, 0
    for start in range(0, min(len(dataset), VALIDATE_IMAGES), 128):
        rows = np.arange(start, min(start + 128, len(dataset), VALIDATE_IMAGES))
        batch = to_batch(dataset.batch(rows), device_of(model))
        rng = StepRng(seed, start, start=0, stop=len(rows), total=len(rows), device=batch.image.device)
        with torch.no_grad():
            loss = next(model.losses(batch, Step(start, 10**15, rng)))
        total, seen = total + float(loss.value) * len(rows), seen + len(rows)
    return total / seen


def best_weights(handed_out: Callable[[str], Model], score: Callable[[Model], float]) -> tuple[str, dict[str, float]]:
    """The weights with the lowest score, and the score of each; those whose score is NaN come last.

    handed_out   name of weights -> the model with them
    """
    scores = {name: score(handed_out(name)) for name in (*reversed(NAMES), RAW)}
    return min(scores, key=lambda name: (math.isnan(scores[name]), scores[name])), scores


def _encoded(model: Model, dataset: Dataset, *, seed: int, images: int) -> Tensor:
    """(N, *latent_shape) latents of a keyed choice of images."""
    rows = np.sort(generator(seed, "density").permutation(len(dataset))[:images])
    parts = []
    for start in range(0, len(rows), 256):
        batch = to_batch(dataset.batch(rows[start : start + 256]))
        parts.append(encode(model, batch.image, batch.condition))
    return torch.cat(parts)
