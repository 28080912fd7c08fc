"""Networks that judge: trained here on one side's images, through the one loop, and kept in the cache.

A judge knows the images it was trained on by heart, more or less, so it is trained on the training split and what it
says is held against images that it has not seen. Training is repeatable: fixed length, fp32, nothing timed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .. import bundle, durable, models
from ..config import to_dict
from ..data.cache import home
from ..data.dataset import Dataset, Pixels, Tables
from ..data.loader import to_batch
from ..data.report import LoadReport
from ..errors import BadCheckpoint, DataError, DiskError, Interrupted, ModelError
from ..features.folding import assign, fold
from ..features.selftrained import PlainNetwork, Plan, SelfTrained
from ..images.grid import from_uint8
from ..model import Model
from ..models.classifier import Classifier, Trunk
from ..models.contrastive import Contrastive
from ..rng import generator
from ..training import settings
from ..training.folder import RunFolder
from ..training.loop import Trainer
from ..training.precision import Arithmetic
from ..training.settings import TrainConfig
from ..types import DataSpec
from .material import ImageSet

VERSION = 1  # raise it whenever the same images and settings would give another judge
EPOCHS, FEWEST, MOST = 60, 12_000, 60_000  # images shown: so many epochs, within these bounds
LOOKED_AT = 2_048  # images that a network may look at before it is trained
TILE = 128  # images that a judge sees at once, always: then what it says of one does not depend on the others
KEPT = 32  # judges in the cache; the oldest make room

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Predictions:
    """What a classifier says of N images.

    features   (N, D)   float32
    outputs    (N, W)   float32, laid out as models.classifier.questions says
    classes             K, the first columns of the outputs
    """

    features: np.ndarray
    outputs: np.ndarray
    classes: int

    @property
    def logits(self) -> np.ndarray:
        """(N, K) over the classes."""
        return self.outputs[:, : self.classes]


def images_to_show(count: int) -> int:
    """How many images a judge of `count` images is shown in training unless told otherwise."""
    return min(MOST, max(FEWEST, EPOCHS * count))


def train_classifier(
    images: ImageSet,
    spec: DataSpec,
    *,
    seed: int = 0,
    shown: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> Classifier:
    """A classifier of these images' classes and attributes, in eval mode; from the cache when it is there.

    shown    images to show in training, repeats counted; by default 60 epochs, within 12,000 and 60,000
    config   settings of models.classifier.ClassifierConfig

    Raises DataError when the images do not fit `spec` or nothing is known of any of them.
    """
    _check(images, spec)
    if not encoded(images, spec)[1].any():
        raise DataError(f"nothing is known of the {len(images):,} images of {images.name}; a classifier needs labels")
    return _judge(Classifier, images, spec, seed=seed, shown=shown, config=config)


def train_contrastive(
    images: ImageSet,
    spec: DataSpec,
    *,
    seed: int = 0,
    shown: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> Contrastive:
    """A contrastive network of these images, which needs no labels; otherwise as `train_classifier`."""
    bare = replace(images, labels=None, attributes=None, known=None)
    return _judge(Contrastive, bare, DataSpec(*spec.shape), seed=seed, shown=shown, config=config)


def predict(classifier: Classifier, images: ImageSet) -> Predictions:
    """What the classifier says of each image. Raises DataError when they are not of the shape it was trained on."""
    _check_shape(images, classifier.data)
    pairs = [_forward(classifier, chunk) for chunk in images.chunks(TILE)]
    width = classifier.head.in_features, classifier.head.out_features
    features = np.concatenate([np.zeros((0, width[0]), np.float32), *(pair[0] for pair in pairs)])
    outputs = np.concatenate([np.zeros((0, width[1]), np.float32), *(pair[1] for pair in pairs)])
    return Predictions(features, outputs, len(classifier.data.classes))


def encoded(images: ImageSet, spec: DataSpec) -> tuple[np.ndarray, np.ndarray]:
    """(N, W) what a classifier's outputs should say of these images, encoded, and whether it is known (bool)."""
    count, classes = len(images), len(spec.classes)
    values = np.zeros((count, classes + spec.attribute_width), np.float32)
    known = np.zeros(values.shape, bool)
    if classes and images.labels is not None:
        labels = np.asarray(images.labels)
        values[:, :classes] = labels[:, None] == np.arange(classes)
        known[:, :classes] = (labels >= 0)[:, None]
    if spec.attributes and images.attributes is not None:
        values[:, classes:] = images.attributes
        known[:, classes:] = True if images.known is None else images.known
    return values, known


def self_features(images: ImageSet, spec: DataSpec, *, seed: int = 0, shown: int | None = None) -> SelfTrained:
    """Features of a network trained on these images: of a classifier where they have labels, else of a contrastive net.

    Give training images, and judge against others: the network knows these by heart, and a model that copies them
    would look better than it is.
    """
    _check(images, spec)
    if encoded(images, spec)[1].any():
        classifier = train_classifier(images, spec, seed=seed, shown=shown)
        return SelfTrained.of(plain(classifier.trunk, spec, _class_head(classifier)))
    return SelfTrained.of(plain(train_contrastive(images, spec, seed=seed, shown=shown).trunk, spec))


def plain(trunk: Trunk, spec: DataSpec, head: tuple[Tensor, Tensor] | None = None) -> PlainNetwork:
    """The network of a trunk with batch normalisation worked into the convolutions, and a head for logits, if given.

    head   weight (K, D) and bias (K,)
    """
    classes = 0 if head is None else len(head[0])
    network = PlainNetwork(Plan(*spec.shape, seen=trunk.size, layers=trunk.layers, classes=classes))
    state, norms = trunk.state_dict(), [layer for layer in trunk.body if isinstance(layer, nn.BatchNorm2d)]
    for place, (layer, norm) in enumerate(zip(network.convolutions, norms, strict=True)):
        names = f"body.{3 * place}", f"body.{3 * place + 1}"  # convolution, normalisation, ReLU
        assign(layer, *fold(state, *names, epsilon=norm.eps), name=names[0])
    with torch.no_grad():
        network.mean.copy_(trunk.mean)
        network.std.copy_(trunk.std)
        if network.head is not None and head is not None:
            network.head.weight.copy_(head[0])
            network.head.bias.copy_(head[1])
    return network


def _class_head(classifier: Classifier) -> tuple[Tensor, Tensor] | None:
    classes = len(classifier.data.classes)
    return (classifier.head.weight[:classes], classifier.head.bias[:classes]) if classes else None


def _forward(classifier: Classifier, chunk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tile = np.zeros((TILE, *chunk.shape[1:]), np.uint8)
    tile[: len(chunk)] = chunk
    with torch.inference_mode():
        features, outputs = classifier(torch.from_numpy(from_uint8(tile)))
    return features[: len(chunk)].numpy(), outputs[: len(chunk)].numpy()


# --- training -------------------------------------------------------------------------------------------------------


def _judge(
    kind: type[M],
    images: ImageSet,
    spec: DataSpec,
    *,
    seed: int,
    shown: int | None,
    config: Mapping[str, Any] | None,
) -> M:
    """The trained network of that kind, out of the cache or into it."""
    _check(images, spec)
    settled = models.configure(kind.name, config or {})
    train = TrainConfig(
        seed=seed,
        images=images_to_show(len(images)) if shown is None else shown,
        precision="fp32",
        channels_last=True,
        device="cpu",
        checkpoint_every="0",
        preview_every="0",
        keep=1,
        tensorboard=False,
    )
    folder = home() / "judges" / _key(kind.name, images, spec, to_dict(settled), train)
    found = _kept(folder)
    if found is None:
        found = _train(kind.name, settled, _dataset(images, spec), train)
        _keep(found, folder)
    model = found.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as it was trained
    assert isinstance(model, kind)
    return model


def _train(name: str, config: Any, dataset: Dataset, train: TrainConfig) -> bundle.Bundle:
    """Train in a folder that is gone afterwards. The caller's random state is left as it was."""
    with tempfile.TemporaryDirectory(prefix="limner-judge-") as path, torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(train.seed, "weights").integers(2**62)))
        model = models.build(name, config, dataset.spec)
        rows = np.sort(generator(train.seed, "prepare").permutation(len(dataset))[:LOOKED_AT])
        model.prepare(to_batch(dataset.batch(rows)).image)
        arithmetic = Arithmetic(channels_last=True)
        model.to(memory_format=arithmetic.memory_format)  # type: ignore[call-overload]
        resolved = settings.resolve(train, model.training_defaults())
        folder = RunFolder(Path(path))
        trainer = Trainer(model, dataset, resolved, folder, arithmetic=arithmetic, device=torch.device("cpu"))
        try:
            trainer.run()
        except Interrupted as stopped:
            text = f"stopped while a network to judge with was trained on {dataset.name}; nothing of it was kept"
            raise Interrupted(text, stopped.exit_code - 128) from None
        return bundle.load(folder.model)


def _dataset(images: ImageSet, spec: DataSpec) -> Dataset:
    """An image set as the loop takes it."""
    count, classes = len(images), len(spec.classes)
    values, known = encoded(images, spec)
    labels = np.full(count, -1) if images.labels is None else np.asarray(images.labels, np.int64)
    names = list(images.ids) or [str(row) for row in range(count)]
    return Dataset(
        Pixels(images.images, (count, *images.images.shape[1:])),
        Tables(names, labels, values[:, classes:], known[:, classes:], captions=[]),
        spec=spec,
        name=images.name,
        digest=images.digest,
        report=LoadReport("array"),
    )


def _check_shape(images: ImageSet, spec: DataSpec) -> None:
    """Raise DataError unless the images are of the shape that `spec` says."""
    if not len(images):
        raise DataError(f"{images.name} has no images")
    if tuple(images.images.shape[1:]) != (spec.height, spec.width, spec.channels):
        raise DataError(
            f"the images of {images.name} are {images.images.shape[1:]}, but those to judge are "
            f"({spec.height}, {spec.width}, {spec.channels}); bring both to one size first"
        )


def _check(images: ImageSet, spec: DataSpec) -> None:
    """Raise DataError unless the images, their labels and their attributes are as `spec` says."""
    _check_shape(images, spec)
    if images.labels is not None and spec.classes and (highest := int(np.max(images.labels))) >= len(spec.classes):
        raise DataError(f"{images.name} has label {highest}, but there are {len(spec.classes)} classes")
    if images.attributes is not None and spec.attributes and images.attributes.shape[1] != spec.attribute_width:
        raise DataError(
            f"the attributes of {images.name} are {images.attributes.shape[1]} wide, not {spec.attribute_width}"
        )


# --- the cache ------------------------------------------------------------------------------------------------------


def _key(name: str, images: ImageSet, spec: DataSpec, config: Mapping[str, Any], train: TrainConfig) -> str:
    """Hex key of all that a judge is a function of. Labels count: the images' digest is of their pixels alone."""
    known = sha256()
    for part in (images.labels, images.attributes, images.known):
        known.update(b"none" if part is None else np.ascontiguousarray(part).tobytes())
    parts = [VERSION, name, images.digest, known.hexdigest(), asdict(spec), config, to_dict(train)]
    return sha256(json.dumps(parts).encode()).hexdigest()


def _kept(folder: Path) -> bundle.Bundle | None:
    """The judge in that folder, or None when it is not there or not whole: then it is trained again."""
    if not (folder / durable.MANIFEST).is_file():
        return None
    with suppress(BadCheckpoint, ModelError):
        return bundle.load(folder)
    return None


def _keep(judge: bundle.Bundle, folder: Path) -> None:
    """Put it into the cache; a cache that cannot be written costs time and nothing else."""
    with suppress(DiskError, OSError):
        bundle.save(judge, folder)
        others = sorted(
            (path for path in folder.parent.iterdir() if (path / durable.MANIFEST).is_file()),
            key=lambda path: path.stat().st_mtime,
        )
        for path in others[:-KEPT]:
            durable.remove_folder(path)


__all__ = [
    "Predictions",
    "images_to_show",
    "plain",
    "predict",
    "self_features",
    "train_classifier",
    "train_contrastive",
]
