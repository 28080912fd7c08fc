"""Materials for the tests of copying and of latent spaces: a few digits, and small models that know them by heart."""

from __future__ import annotations

import hashlib

import numpy as np
import runs
import torch

from limner.evaluation.material import ImageSet, Material
from limner.features.extractor import Features
from limner.rng import generator


def image_set(name, images, **given) -> ImageSet:
    return ImageSet(name, images, hashlib.sha256(np.ascontiguousarray(images).tobytes()).hexdigest(), **given)


def of_dataset(dataset, rows=slice(None)) -> ImageSet:
    """Those rows of a data set."""
    return image_set(
        dataset.name,
        np.asarray(dataset.images)[rows],
        labels=np.asarray(dataset.labels)[rows] if dataset.spec.classes else None,
        attributes=np.asarray(dataset.attributes)[rows] if dataset.spec.attributes else None,
        known=np.asarray(dataset.known)[rows] if dataset.spec.attributes else None,
        ids=tuple(np.asarray(dataset.ids)[rows].tolist()),
    )


def noise(count, shape=(8, 8, 1), seed=0) -> np.ndarray:
    return generator(seed, "test copying").integers(0, 256, (count, *shape)).astype(np.uint8)


def material(dataset, generated: ImageSet, **given) -> Material:
    """Generated images against a data set, which is the real side too."""
    return Material(generated, given.pop("real", of_dataset(dataset)), dataset.spec, **given)


def learned_by_heart(name, dataset, steps, **values):
    """A small model trained on a few images for so long that it knows them by heart."""
    torch.manual_seed(0)
    model = runs.build(name, dataset, network="mlp", width=64, latent=16, conditional="none", **values)
    return runs.take_steps(model, dataset, steps).eval()


class Thumbnails:
    """An extractor whose features are the pixels, twice."""

    name, sha256, dimension, classes = "Thumbnails", "0" * 64, 128, 0
    resize, precision = "none", "fp32"

    def __call__(self, images):
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        return Features(np.concatenate([rows, rows], axis=1))

    def float_maps(self, images):
        """One layer: the picture itself, and a second channel that keeps its length from being divided out."""
        return [torch.cat([images, torch.ones_like(images)], dim=1)]
