"""The door for weights made elsewhere: the one file that may read a pickle, restricted to tensors, of known content.

A file is opened when its SHA-256 is the pinned one, or when the user named it. Published files are kept under
<home>/weights, and downloaded there through fetch.py when they are missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import durable, fetch
from ..data.cache import home
from ..errors import ConfigError, DiskError, LimnerError, ModelError

LIMIT = 2 << 30  # bytes of a published file, at most


@dataclass(frozen=True)
class Published:
    """A file of weights that is known.

    name      of the file
    sha256    of its bytes, in hex
    urls      where it is published, tried in this order
    """

    name: str
    sha256: str
    urls: tuple[str, ...] = ()

    @property
    def place(self) -> Path:
        """Where it is kept."""
        return home() / "weights" / self.name


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and the SHA-256 of the file they came from."""

    tensors: Mapping[str, Tensor]
    sha256: str


def load(path: Path, *, pinned: str | None = None) -> Weights:
    """The tensors of a .safetensors file or of a .pth state dict.

    pinned   the SHA-256 that the file must have; None when the user named the file

    A .pth is read with `weights_only`, which makes nothing but tensors and plain containers. Raises ConfigError where
    there is no such file, ModelError for another hash and for what holds no tensors by name.
    """
    digest = sha256_of(path)
    if pinned is not None and digest != pinned:
        raise ModelError(f"{path} has the SHA-256 {digest}, not {pinned}: it is damaged or another file; get it again")
    try:
        tensors = _read(path)
    except Exception as error:  # what a damaged file makes the two readers raise has no bounds
        raise ModelError(f"{path} holds no weights that can be read: {first_line(error)}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(part, Tensor) for part in tensors.values()):
        raise ModelError(f"{path} does not hold tensors by name; give a state dict, as .pth or .safetensors")
    return Weights(tensors, digest)


def _read(path: Path):
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises ConfigError where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read the weights {path}: {error.strerror}; check the path") from None


def first_line(error: BaseException) -> str:
    """What an error of another library says, as far as it fits into a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def obtain(file: Published) -> Path:
    """A published file on this machine, downloaded when it is not there or damaged.

    Raises ModelError when it cannot be had; the message says where to put it by hand.
    """
    if file.place.is_file() and sha256_of(file.place) == file.sha256:
        return file.place
    failures = []
    for url in file.urls:
        try:
            data = fetch.fetch(url, sha256=file.sha256, limit=LIMIT)
            durable.make_folder(file.place.parent)
            durable.write_file(file.place, data)
            return file.place
        except DiskError:
            raise
        except LimnerError as error:
            failures.append(str(error))
    raise ModelError(
        f"{file.name} is not on this machine and was not downloaded ({'; '.join(failures) or 'no address is known'}); "
        f"get it where you are online, and put it at {file.place}, or name the file itself"
    )
