"""`limner import` and `limner export`: models to and from the layout of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, command, lines

if TYPE_CHECKING:
    from ..trained import Trained

Run = Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")]
Source = Annotated[str, Parameter(help="A folder in diffusers format, or an id on the hub: owner/name.")]
Out = Annotated[Path | None, Parameter(help="Folder to write; by default a new numbered one.")]
PLAIN = Common()


def bring(source: Source, /, *, out: Out = None, common: Common = PLAIN) -> Answer:
    """Turn a pretrained model into a model folder of Limner, which needs nothing of the source any more."""
    from .. import api, durable

    name = places.name_of(source)
    folder = out or places.free(Path("models"), name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists; choose another folder with --out")
    trained = api.imported(source)
    durable.make_folder(folder.parent)
    trained.save(folder)
    parameters = sum(parameter.numel() for parameter in trained.network.parameters())
    channels, height, width = trained.data.shape
    values = {
        "model": trained.name,
        "model_folder": str(folder),
        "model_sha256": trained.sha256,
        "parameters": parameters,
        "image": [channels, height, width],
        "classes": len(trained.data.classes),
        "text": trained.network.config.text,
    }
    facts = {
        "images": f"{height}x{width}x{channels}",
        "parameters": f"{parameters:,}",
        "classes": len(trained.data.classes) or None,
        "reads": "descriptions" if values["text"] != "none" else None,
        "folder": folder,
    }
    return Answer(values, lines(f"{source} as a model folder", facts, _next(trained, folder)))


def _next(trained: Trained, folder: Path) -> list[str]:
    """Two commands to try with an imported model."""
    reads = trained.network.config.text != "none"
    asked = ["--text", "a red apple"] if reads else []
    return [command("sample", folder, "-n", "4", *asked), command("evaluate", folder, "DATA")]


def export(
    run: Run,
    /,
    *,
    format: Annotated[Literal["diffusers"], Parameter(help="Layout to write.")] = "diffusers",
    out: Out = None,
    common: Common = PLAIN,
) -> Answer:
    """Write the model of RUN in the layout of another library."""
    from .. import api

    folder = out or places.free(Path("exports"), places.name_of(run))
    trained = api.load(run)
    trained.export(folder)
    values = {"model": trained.name, "model_sha256": trained.sha256, "format": format, "out": str(folder)}
    return Answer(values, lines(f"{trained.name} as {format}", {"folder": folder}))
