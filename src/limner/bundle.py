"""The model folder: config.json + model.safetensors + card, checked by a manifest; and how it becomes a model again.

It loads on another machine with no code but Limner's, runs no code of its own, and is the same layout that model hubs
expect. A training checkpoint is such a folder with training state beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from . import durable, models
from .config import from_dict, to_dict
from .errors import BadCheckpoint, ConfigError, ModelError
from .model import Model
from .types import Attribute, Condition, DataSpec

FORMAT = 1
CONFIG, WEIGHTS, CONDITIONS, CARD = "config.json", "model.safetensors", "conditions.safetensors", "README.md"
CAPTIONS = "captions.json"


@dataclass
class Bundle:
    """A loaded model folder.

    model    on the CPU, in eval mode
    about    what config.json says beside the model: data set, training settings, steps, version
    bank     conditions of training images, to draw from when none is asked for
    sha256   of the weights file: the model's identity in pictures it makes
    """

    model: Model
    about: dict[str, Any]
    bank: Condition
    sha256: str


def contents(model: Model, about: Mapping[str, Any], bank: Condition) -> dict[str, Callable[[], bytes]]:
    """The files of the model folder, as functions that make their bytes."""
    parts = {"label": bank.label, "attributes": bank.attributes, "known": bank.known}
    files: dict[str, Callable[[], bytes]] = {
        CONFIG: lambda: _config(model, about),
        WEIGHTS: lambda: tensor_bytes(model.state_dict()),
        CONDITIONS: lambda: tensor_bytes({name: part for name, part in parts.items() if part is not None}),
        CARD: lambda: _card(model, about).encode(),
    }
    if bank.text is not None:
        files[CAPTIONS] = lambda: json.dumps(bank.text, indent=0).encode()
    return files


def save(loaded: Bundle, folder: Path) -> None:
    """Publish the model folder; an existing one is replaced. Raises DiskError, leaving what was there intact."""
    durable.publish_folder(folder, contents(loaded.model, loaded.about, loaded.bank), about={"format": FORMAT})


def load(folder: Path) -> Bundle:
    """The model of a folder, after checking every byte of it.

    Raises BadCheckpoint when a file is missing, altered, or of a newer format, and ModelError for a model from outside
    the catalogue whose module has not been imported: a folder from a stranger makes no code run.
    """
    manifest = durable.verify(folder)
    try:
        check_format(folder, manifest)
        saved = json.loads((folder / CONFIG).read_bytes())
        for name in _names(saved):
            _refuse_foreign_code(folder, name)
        data = _data_spec(saved["data"])
        model = models.build(saved["model"], models.configure(saved["model"], saved["config"]), data)
        model.load_state_dict(read_tensors(folder / WEIGHTS))
        text = json.loads((folder / CAPTIONS).read_bytes()) if CAPTIONS in manifest["files"] else None
        bank = Condition(**read_tensors(folder / CONDITIONS), text=text)  # type: ignore[arg-type]
        return Bundle(model.eval(), saved["about"], bank, manifest["files"][WEIGHTS]["sha256"])
    except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise BadCheckpoint(f"{folder} does not hold a model of this Limner: {error}") from error


def _names(saved: Mapping[str, Any]) -> Iterator[str]:
    """The model of a folder, and the models that lie inside it."""
    yield saved["model"]
    config = saved["config"]
    while isinstance(config, Mapping) and "first" in config:
        yield config["first"]
        config = config.get("first_config")


def _refuse_foreign_code(folder: Path, name: str) -> None:
    module, colon, _ = str(name).partition(":")
    if colon and module not in sys.modules:
        raise ModelError(
            f"{folder} holds {name!r}, a model from outside Limner, and loading a folder runs no code of its own; "
            f"if you trust it: import {module} first, or on the command line set LIMNER_IMPORT={module}"
        )


def check_format(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raise BadCheckpoint when the folder was written in a newer format than this Limner reads."""
    if manifest.get("format", 0) > FORMAT:
        raise BadCheckpoint(f"{folder} has format {manifest['format']}; this Limner reads up to {FORMAT}: upgrade it")


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors file of named tensors, in whatever memory layout they lie."""
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; raises BadCheckpoint when it is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except (SafetensorError, KeyError) as error:
        raise BadCheckpoint(f"{path} is not a safetensors file: {error}") from None


def _config(model: Model, about: Mapping[str, Any]) -> bytes:
    saved = {
        "model": model.name,
        "config": to_dict(model.config),
        "data": asdict(model.data),
        "about": dict(about),
    }
    return json.dumps(saved, indent=1).encode()


def _data_spec(saved: Mapping[str, Any]) -> DataSpec:
    try:
        attributes = tuple(from_dict(Attribute, attribute) for attribute in saved["attributes"])
        return from_dict(DataSpec, {**saved, "attributes": attributes})
    except ConfigError as error:
        raise BadCheckpoint(f"the saved description of the data is damaged: {error}") from None


def _card(model: Model, about: Mapping[str, Any]) -> str:
    """The README.md that model hubs show."""
    channels, height, width = model.data.shape
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines = [
        "---",
        "library_name: limner",
        "pipeline_tag: unconditional-image-generation",
        "---",
        f"# {model.name}, {height}×{width}×{channels}",
        "",
        f"{parameters:,} parameters, trained with Limner {about.get('version', '')}.",
        "",
        *(f"- {key}: {value}" for key, value in about.items() if not isinstance(value, dict | list)),
        "",
        "```python",
        "import limner",
        'limner.load("path/to/this/folder").sample(16, seed=0).save("samples")',
        "```",
        "",
    ]
    return "\n".join(lines)
