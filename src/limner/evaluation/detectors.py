"""Object detectors that others have trained, asked one thing: is there such an object in the picture, how surely?

Any object-detection model of Hugging Face's transformers serves, from a folder or by its id. Weights are read from
.safetensors alone and no code of the repository is run. Boxes are not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError, ModelError, require
from ..features.preparation import opaque
from ..features.selftrained import weights_sha256
from ..features.weights import first_line
from ..fetch import offline
from ..metrics.recognition import Recognition, recognition
from ..rng import generator
from .material import ImageSet

TILE = 4  # pictures that the detector sees at once, always: what it says of one does not depend on the others

Prepare = Callable[[np.ndarray], Tensor]  # (B, H, W, 3) uint8 -> (B, 3, h, w) as the network takes it


class Detector:
    """Scores for each name it knows: the surest of its detections in a picture.

    names   what it can find, in the order of its scores
    words   how it prepares pictures, for protocols
    """

    def __init__(self, network: nn.Module, names: Sequence[str], prepare: Prepare, *, name: str, words: str) -> None:
        self.network, self.names, self.name, self.words = network.eval(), tuple(names), name, words
        self.sha256, self._prepare = weights_sha256(network), prepare

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """(B, H, W, C) uint8, C of 1, 3 or 4 -> (B, K) float32 in [0, 1]. Raises ConfigError for other images."""
        images = opaque(images)
        images = np.repeat(images, 3, axis=3) if images.shape[3] == 1 else images
        parts = [np.zeros((0, len(self.names)), np.float32)]
        for start in range(0, len(images), TILE):
            rows = images[start : start + TILE]
            tile = np.concatenate([rows, np.repeat(rows[-1:], TILE - len(rows), axis=0)])
            with torch.inference_mode():
                logits = self.network(pixel_values=self._prepare(tile)).logits  # (TILE, Q, K or K + 1)
            parts.append(self._scores(logits.float())[: len(rows)].numpy())
        return np.concatenate(parts)

    def _scores(self, logits: Tensor) -> Tensor:
        """(B, Q, …) -> (B, K). With one logit more than names, the last stands for nothing and all compete."""
        compete = logits.shape[2] == len(self.names) + 1
        found = logits.softmax(dim=2)[:, :, :-1] if compete else logits.sigmoid()
        return found.amax(dim=1)


def load(where: str | Path) -> Detector:
    """The detector in a folder, or of that Hugging Face id, which is then downloaded unless it was before.

    Raises MissingExtra without the package transformers, ModelError for what cannot be had or loaded.
    """
    require("transformers", "transformers")
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    here: dict[str, Any] = {"local_files_only": offline() or Path(where).is_dir(), "trust_remote_code": False}
    try:
        with _quiet():
            network = AutoModelForObjectDetection.from_pretrained(str(where), use_safetensors=True, **here)
            processor: Any = AutoImageProcessor.from_pretrained(str(where), backend="pil", **here)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"detector={str(where)!r} cannot be loaded: {first_line(error)}; give the folder of an object-detection "
            f"model with config.json, model.safetensors and preprocessor_config.json, or its Hugging Face id"
        ) from error

    def prepare(images: np.ndarray) -> Tensor:
        return processor(images=list(images), input_data_format="channels_last", return_tensors="pt")["pixel_values"]

    labels = network.config.id2label
    names = [labels[key] for key in sorted(labels)]
    words = f"{type(processor).__name__} {getattr(processor, 'size', None)}"
    return Detector(network, names, prepare, name=Path(str(where)).name, words=words)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars that transformers draws while it loads."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def recognised(
    detector: Detector, images: ImageSet, texts: Sequence[str], *, limit: int, seed: int
) -> Recognition | None:
    """Whether the detector finds what each image should show, in up to `limit` of those that it can judge.

    texts   what each image should show, in words; nothing where that is not known

    None where it knows none of the things named. Raises ConfigError unless there is one text for each image.
    """
    if len(texts) != len(images):
        raise ConfigError(f"{len(texts)} captions do not fit {len(images)} images; give one for each")
    asked = asked_for(texts, detector.names)
    rows = generator(0, "detector").permutation(np.flatnonzero(asked.any(axis=1)))[:limit]
    if not len(rows):
        return None
    rows.sort()
    known = asked[rows].any(axis=0)
    scores = [detector(np.asarray(images.images[rows[start : start + 64]])) for start in range(0, len(rows), 64)]
    return recognition(np.concatenate(scores)[:, known], asked[np.ix_(rows, known)], seed=seed)


def names_in(text: str, names: Sequence[str]) -> list[int]:
    """The places in `names` of those that a class name or a caption speaks of, as whole words, plural or not.

    `two red Traffic-Lights` speaks of `traffic light`, `catfish` not of `cat`.
    """
    said = _words(text)
    found = []
    for place, name in enumerate(names):
        words = _words(name)
        if words and any(said[start : start + len(words)] == words for start in range(len(said) - len(words) + 1)):
            found.append(place)
    return found


def asked_for(texts: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(N, K) bool: which of the names each text speaks of."""
    asked = np.zeros((len(texts), len(names)), bool)
    for text, rows in _places(texts).items():
        asked[np.ix_(rows, names_in(text, names))] = True
    return asked


def _places(texts: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        places.setdefault(text, []).append(row)
    return places


def _words(text: str) -> list[str]:
    return [_singular(word) for word in re.findall(r"[^\W_]+", text.lower())]


_ENDINGS = ("se", "ze", "xe", "che", "she", "ve", "fe", "ie")  # whose e may be the plural's, or the word's own


def _singular(word: str) -> str:
    """A stem that is alike for one and for many: bus and buses, knife and knives, house and houses."""
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")):
        word = word[:-1]
    if word.endswith(_ENDINGS) or (word.endswith("oe") and len(word) > 4):
        word = word[:-1]
        return word[:-1] + {"v": "f", "i": "y"}.get(word[-1], word[-1])
    return word
