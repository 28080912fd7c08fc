"""Models to and from the layout of the diffusers library: what others trained, and what others shall use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from .. import __version__, bundle, durable, models
from ..bundle import Bundle
from ..errors import ConfigError, NotAble
from ..model import Model
from ..models import pretrained_parts
from ..models.pretrained_export import pipeline_of
from ..models.unet_export import Pipeline
from ..types import Condition

_CLASSES = 256  # of which pictures are drawn when none is asked for


def is_pipeline(path: Path) -> bool:
    """Whether the folder is in the layout of diffusers."""
    return (path / pretrained_parts.INDEX).is_file() and not (path / durable.MANIFEST).is_file()


def imported(source: str) -> Bundle:
    """The model of a folder or hub id in the layout of diffusers, as a model folder holds it.

    Raises MissingExtra, and ModelError where it cannot be had or is of a kind that Limner does not read.
    """
    folder = pretrained_parts.folder_of(source)
    data = pretrained_parts.data_of(pretrained_parts.described(folder))
    model = models.build("diffusers", models.configure("diffusers", {"source": str(folder)}), data)
    about = {"version": __version__, "source": Path(source).name if folder == Path(source) else source}
    sha256 = hashlib.sha256(bundle.tensor_bytes(model.state_dict())).hexdigest()
    labels = torch.arange(len(data.classes))[:_CLASSES] if data.classes else None
    return Bundle(model.eval(), about, Condition(label=labels), sha256)


def export(model: Model, folder: Path) -> Path:
    """Write the model as a pipeline of diffusers; its index comes last, so what has one is whole.

    Raises NotAble for a model that has no such layout, ConfigError where there is a pipeline already.
    """
    if (folder / pretrained_parts.INDEX).exists():
        raise ConfigError(f"{folder} already holds a pipeline; choose another folder")
    pipeline = pipeline_of(model)
    if pipeline is None:
        raise NotAble(
            f"{model.name!r} has no counterpart in diffusers; imported models have one, and `flow` of pixels where it "
            "was trained with conditional=none or on data without classes"
        )
    for name, make in _files(pipeline):
        target = folder / name
        durable.make_folder(target.parent)
        durable.write_file(target, make())
    return folder


def _files(pipeline: Pipeline) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, function that makes its bytes) of every file of a pipeline, a network at a time."""
    for part, module in pipeline.networks.items():
        with TemporaryDirectory() as place:
            with pretrained_parts.quiet():
                module.save_pretrained(place)
            for path in sorted(Path(place).iterdir()):
                yield f"{part}/{path.name}", path.read_bytes
    texts: dict[str, Any] = {**pipeline.settings, pretrained_parts.INDEX: pipeline.index}
    for name, content in texts.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=1)
        yield name, text.encode
