"""Feature spaces: frozen networks that images are compared in, each with a name, a hash and a way of preparing images.

Features of an image do not depend on which others it is given with. store.py keeps them on the disk.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, unknown

if TYPE_CHECKING:
    from ..engine import How
    from .extractor import Extractor

NAMES = ("lite0", "inception", "inception-clean")
_PREFIXES = ("inception:", "inception-clean:", "hf:", "self:")
_SCRIPTS = (".pt", ".ts", ".torchscript")


def load(name: str, *, precision: str = "fp32", engine: str = "auto") -> Extractor:
    """The extractor of a name.

    lite0                EfficientNet-Lite0 at 128×128; comes with limner[metrics], needs no network
    inception            Inception-v3 as FID defines it; its weights are downloaded once
    inception-clean      the same with clean-fid's resize
    inception:PATH       with weights from a .pth or .safetensors file
    PATH.pt, PATH.ts     any TorchScript network
    hf:FOLDER-OR-ID      any Hugging Face vision network; @pooled, @cls or @mean after it says which of its outputs
    self:FOLDER          a small network trained on data at hand

    precision   fp32, or bf16 where engine and processor have it
    engine      auto, torch, onnxruntime or openvino

    Raises ConfigError naming the nearest name for one that is none.
    """
    from ..engine import How
    from .frozen import Frozen

    extractor = _load(name, How(engine, precision))
    if isinstance(extractor, Frozen):
        extractor.recipe = (name, precision, engine)
    return extractor


def _load(name: str, how: How) -> Extractor:
    kind, _, rest = name.partition(":")
    if name == "lite0":
        from .lite0 import Lite0

        return Lite0(how=how)
    if kind in ("inception", "inception-clean"):
        from .inception import Inception

        return Inception(Path(rest) if rest else None, resize="clean" if kind.endswith("clean") else "legacy", how=how)
    if kind == "hf" and rest:
        from .huggingface import HuggingFace

        return HuggingFace.named(rest, how=how)
    if kind == "self" and rest:
        from . import selftrained

        if how.precision != "fp32" or how.engine not in ("auto", "torch"):
            raise ConfigError(
                f"{how.precision} with engine={how.engine} is not possible for self:…; it is fp32 in torch"
            )
        return selftrained.load(rest)
    if Path(name).suffix in _SCRIPTS:
        from .torchscript import TorchScript

        return TorchScript(Path(name), how=how)
    raise ConfigError(
        unknown("features", name, [*NAMES, *_PREFIXES]) + "; or the path of a TorchScript file (.pt, .ts)"
    )
