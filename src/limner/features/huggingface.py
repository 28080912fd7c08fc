"""Any vision network of Hugging Face's transformers: from a folder, or by its id on the hub.

Weights are read from .safetensors alone, no code of the repository is run, and images go through the network's own
processor, in its Pillow form, so that its resize is the one the network was published with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from ..engine import How
from ..errors import ConfigError, ModelError, require, unknown
from ..fetch import OFFLINE, offline
from .frozen import Frozen, Traits
from .preparation import opaque
from .weights import first_line, sha256_of

Pool = Literal["pooled", "cls", "mean"]
_FILES = ("*config.json", "model*.safetensors", "model.safetensors.index.json")


class HuggingFace(Frozen):
    """The extractor (extractor.py has the contract), named after folder or id, output and hash.

    source   a folder with config.json and .safetensors, or an id as `owner/name`
    pool     pooled: the network's own summary (for CLIP, its image embedding); cls: the first token; mean: of all
             tokens or places. None: pooled where that was trained, else cls for tokens and mean for places

    Raises MissingExtra, ConfigError for a pool that it does not have, ModelError where it cannot be had or loaded.
    """

    def __init__(self, source: str, *, pool: Pool | None = None, how: How | None = None) -> None:
        require("transformers", "transformers")
        how = how or How()
        folder = _folder(source)
        processor = _Processor(folder)
        network = _Pooled(_load(folder), processor(np.full((1, 64, 64, 3), 128, np.uint8)), pool)
        digest = _digest(folder, network.pool)
        traits = Traits(f"{Path(source).name}-{network.pool}-{digest[:8]}", digest, network.width)
        engine = "torch" if how.engine == "auto" else how.engine
        super().__init__(network, traits, processor, How(engine, how.precision, how.tile))

    @classmethod
    def named(cls, spec: str, *, how: How | None = None) -> HuggingFace:
        """From `SOURCE` or `SOURCE@POOL`."""
        source, at, pool = spec.rpartition("@")
        if at and pool in get_args(Pool):
            return cls(source, pool=pool, how=how)  # type: ignore[arg-type]  # checked in the line above
        return cls(spec, how=how)


class _Pooled(nn.Module):
    """A transformers network that gives one row of features an image, `width` long.

    images   (1, 3, h, w) to try it with
    """

    def __init__(self, loaded: _Loaded, images: Tensor, pool: Pool | None) -> None:
        super().__init__()
        self.model = loaded.model
        with torch.inference_mode():
            seen = self._seen(images)
            summary = loaded.trained and (self._embeds() or getattr(seen, "pooler_output", None) is not None)
            self.pool = _settled(pool, summary=summary, tokens=seen.last_hidden_state.ndim == 3)
            self.width = self.forward(images)[0].shape[1]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.pool == "pooled" and self._embeds():
            found = self.model.get_image_features(pixel_values=images)  # type: ignore[operator]
            return (found if isinstance(found, Tensor) else found.pooler_output,)
        seen = self._tower()(pixel_values=images)
        if self.pool == "pooled":
            return (seen.pooler_output.flatten(1),)
        hidden = seen.last_hidden_state  # (B, T, D) tokens or (B, D, h, w) places
        if self.pool == "cls":
            return (hidden[:, 0],)
        return (hidden.mean(1) if hidden.ndim == 3 else hidden.mean((2, 3)),)

    def _seen(self, images: Tensor) -> Any:
        """What the network gives for images. Raises ModelError where that is no features."""
        try:
            seen = self._tower()(pixel_values=images)
            if seen.last_hidden_state.ndim in (3, 4):
                return seen
            raise ValueError(f"its features are {tuple(seen.last_hidden_state.shape)}, not tokens or places")
        except Exception as error:  # each of hundreds of networks has its own way to refuse images
            raise ModelError(f"{type(self.model).__name__} is no vision network: {first_line(error)}") from error

    def _tower(self) -> Any:
        """The network for images: CLIP and its kin come with one for texts."""
        return getattr(self.model, "vision_model", self.model)

    def _embeds(self) -> bool:
        return hasattr(self.model, "get_image_features")


def _settled(asked: Pool | None, *, summary: bool, tokens: bool) -> Pool:
    """The pool that is taken of a network with or without a trained summary, and with tokens or places."""
    if asked is not None and asked not in get_args(Pool):
        raise ConfigError(unknown("pool", asked, get_args(Pool)))
    if asked == "pooled" and not summary:
        raise ConfigError("pool=pooled: the weights hold no trained summary; use cls or mean")
    if asked == "cls" and not tokens:
        raise ConfigError("pool=cls is the first of the tokens, and this network has places; use pooled or mean")
    return asked or ("pooled" if summary else "cls" if tokens else "mean")


class _Processor:
    """The network's own way of preparing images (preparation.Preparation is that of other networks)."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoImageProcessor

        try:
            with _quiet():
                self._processor: Any = AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            raise ModelError(f"{folder} has no image processor that can be loaded: {first_line(error)}") from error
        settings = self._processor.to_dict()
        sizes = {key: settings[key] for key in ("size", "crop_size", "resample") if settings.get(key) is not None}
        self.words = f"{type(self._processor).__name__} {sizes}"

    def __call__(self, images: np.ndarray) -> Tensor:
        rgb = np.repeat(opaque(images), 3, axis=3) if images.shape[3] == 1 else opaque(images)
        return self._processor(images=list(rgb), input_data_format="channels_last", return_tensors="pt")["pixel_values"]


def _folder(source: str) -> Path:
    """The folder itself, or the one that the hub's client keeps. Raises ModelError where it cannot be had."""
    if (folder := Path(source)).is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES), local_files_only=offline()))
    except Exception as error:  # the client lets out errors of several libraries
        why = f"{OFFLINE} is set, and " if offline() else ""
        raise ModelError(
            f"{source} is no folder, and {why}the hub did not give it: {first_line(error)}; "
            "download it where you are online, and name the folder"
        ) from error


class _Loaded(NamedTuple):
    """A network, and whether the layers of its summary were in the weights, or are random."""

    model: nn.Module
    trained: bool


def _load(folder: Path) -> _Loaded:
    """Raises ModelError where there is no network, and when weights other than the summary's are missing."""
    from transformers import AutoModel

    try:
        with _quiet():
            model, info = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True
            )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise ModelError(f"{folder} holds no network that can be loaded: {first_line(error)}") from error
    missing = sorted(info["missing_keys"])
    if lost := [key for key in missing if "pooler" not in key]:
        raise ModelError(f"{folder} lacks {len(lost)} weights, {lost[0]} among them; they would be random")
    return _Loaded(model, not missing)


def _digest(folder: Path, pool: str) -> str:
    names = sorted({path.name for pattern in _FILES for path in folder.glob(pattern)})
    parts = [pool, *(f"{name} {sha256_of(folder / name)}" for name in names)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the library's progress bars and advice."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
