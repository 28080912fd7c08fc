"""`limner train`: start a run or go on with one."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, command, console, counter, lines, shown

if TYPE_CHECKING:
    from ..trained import Trained
    from ..training.show import Show
    from .settings import Sections


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """What has a flag of its own; --set reaches every other setting."""

    out: Annotated[Path | None, Parameter(help="Run folder; by default runs/MODEL-DATA-1, -2, …")] = None
    budget: Annotated[str | None, Parameter(help="Time to spend: 90s, 10m (the default), 2h.")] = None
    steps: Annotated[int | None, Parameter(help="Steps to take, instead of a time.")] = None
    images: Annotated[int | None, Parameter(help="Images to show, instead of a time.")] = None
    resolution: Annotated[str | None, Parameter(help="64, or 96x64 (height x width); by default from the data.")] = None
    batch: Annotated[int | None, Parameter(help="Images a step; by default what suits the model.")] = None
    seed: Annotated[int | None, Parameter(help="Of everything random; 0 by default.")] = None
    lr: Annotated[float | None, Parameter(help="Learning rate; by default what suits the model.")] = None
    accumulate: Annotated[int | None, Parameter(help="Parts a batch is taken in, to save memory.")] = None
    precision: Annotated[Literal["auto", "fp32", "bf16"] | None, Parameter(help="Arithmetic of the network.")] = None
    device: Annotated[str | None, Parameter(help="auto (the default), cpu, cuda, cuda:1, mps …")] = None
    fit: Annotated[Literal["crop", "pad", "squash"] | None, Parameter(help="How images of another shape fit.")] = None
    channels: Annotated[int | None, Parameter(help="1 gray, 3 colour, 4 with transparency.")] = None
    flip: Annotated[bool | None, Parameter(help="Mirror half of the images, anew each time they are seen.")] = None
    patch: Annotated[int | None, Parameter(help="Side of patches to cut from images of full size.")] = None
    degrade: Annotated[str | None, Parameter(help="What to learn to repair: down:2, noise:0-55, blur:1-3 …")] = None
    sources: Annotated[str | None, Parameter(help="Images that go in, matched by name with those of DATA.")] = None
    set: Annotated[list[str] | None, Parameter(help="Any setting, key=value; see `limner models NAME`.")] = None
    config: Annotated[Path | None, Parameter(help="TOML file with tables [model], [data] and [train].")] = None
    resume: Annotated[Path | None, Parameter(help="Go on with this run, without MODEL and DATA.")] = None
    dry_run: Annotated[bool, Parameter(show_default=False, help="Check everything, train nothing.")] = False

    def settings(self) -> dict[str, Any]:
        """The flags that are settings, by the name of the setting; None where not given."""
        others = {"out", "set", "config", "resume", "dry_run"}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in others}


NOTHING = Flags()
PLAIN = Common()


def train(
    model: Annotated[str | None, Parameter(help="Name of a model: see `limner models`.")] = None,
    data: Annotated[str | None, Parameter(help="A folder, an archive, or builtin:openmoji, :shapes, :digits.")] = None,
    /,
    *,
    flags: Flags = NOTHING,
    common: Common = PLAIN,
) -> Answer:
    """Train MODEL on the images of DATA, or go on with a run; returns what was made and what to try next."""
    if flags.resume is not None:
        return _resume(flags, common, positional=model or data)
    if model is None or data is None:
        raise ConfigError(
            "say which model and which data: limner train MODEL DATA, for example "
            "limner train vae builtin:openmoji; or --resume RUN"
        )
    from .settings import gather

    asked = gather(model, toml=flags.config, assignments=flags.set or (), flags=flags.settings())
    if flags.dry_run:
        return _dry_run(model, data, asked, flags, common)
    from .. import api

    with ExitStack() as stack:
        name = f"{places.plain_name(model)}-{places.name_of(data)}"
        out = flags.out or stack.enter_context(places.reserved(Path("runs"), name))
        trained = api.train(
            model,
            data,
            out=out,
            config=asked["model"],
            data_config=asked["data"],
            show=_show(common),
            progress=counter(common),
            **asked["train"],
        )
        return _made(trained, common)


def _resume(flags: Flags, common: Common, *, positional: str | None) -> Answer:
    """Go on with a run; only its length, and what leaves no trace in its weights, may change."""
    from .. import api
    from ..training.folder import RunFolder
    from .settings import gather

    run = flags.resume
    assert run is not None
    if positional is not None or flags.out is not None or flags.dry_run:
        raise ConfigError(
            f"--resume {run} takes model, data and folder from the run; leave out MODEL, DATA, --out and --dry-run"
        )
    saved = RunFolder(run).read_config()
    asked = gather(saved["model"], toml=flags.config, assignments=flags.set or (), flags=flags.settings())
    for section in ("model", "data"):
        for name in asked[section]:
            raise ConfigError(f"a resumed run keeps its {section}.{name}; start a new run to change it")
    return _made(api.resume(run, show=_show(common), progress=counter(common), **asked["train"]), common)


def _show(common: Common) -> Show:
    from ..training.show import Show, TerminalShow

    return Show() if common.quiet else TerminalShow(console(sys.stderr))


def _made(trained: Trained, common: Common) -> Answer:
    """What a finished run made, and what to do with it."""
    from ..training.log import read

    run = trained.run
    assert run is not None
    about, log = trained.about, read(run.log)
    last: dict[str, Any] = next((line for line in reversed(log) if "images_per_second" in line), {})
    losses = {name.removesuffix("/loss"): value for name, value in last.items() if name.endswith("/loss")}
    preview = max(run.previews.glob("*.png"), default=None) if run.previews.is_dir() else None
    values = {
        "run": str(run.path),
        "model": trained.name,
        "model_folder": str(run.model),
        "model_sha256": trained.sha256,
        "preview": str(preview) if preview else None,
        "steps": about["steps"],
        "images": about["images_shown"],
        "minutes": about["minutes"],
        "losses": losses,
    }
    if common.quiet:
        return Answer(values, shown(run.path))
    facts = {
        "trained": f"{about['steps']:,} steps, {about['images_shown']:,} images, {about['minutes']:g} minutes",
        "losses": "  ".join(f"{name} {value:.4g}" for name, value in losses.items() if value is not None),
        "model": run.model,
        "preview": preview,
    }
    return Answer(values, lines(str(run.path), facts, _next(trained)))


def _next(trained: Trained) -> list[str]:
    """Three commands to try with a new model."""
    from ..model import Decodes, Encodes, Samples

    assert trained.run is not None
    run = trained.run.path
    listens = getattr(trained.network.config, "conditional", "auto") != "none"
    label = ["--label", trained.data.classes[0]] if trained.data.classes and listens else []
    if (taking := _use_of(trained)) is not None:
        return [command(*taking, "--model", run), command("show", run)]
    if not isinstance(trained.network, Samples):
        encodes = isinstance(trained.network, Encodes)
        use = command("reconstruct", run, "IMAGES") if encodes else command("models", trained.name)
        return [use, command("show", run)]
    decodes = isinstance(trained.network, Decodes)
    return [
        command("sample", run, "-n", "64", *label),
        command("interpolate", run, "-n", "4") if decodes else command("models", trained.name),
        command("show", run),
    ]


def _use_of(trained: Trained) -> list[str] | None:
    """The command for a model that takes pictures and gives others, without its --model; None for other models."""
    from ..model import Transforms

    data = trained.data
    if hasattr(trained.network, "to_symbols"):
        return ["compress", "IMAGES"]
    if not isinstance(trained.network, Transforms):
        return None
    if "hole" in data.maps:
        return ["inpaint", "IMAGES", "--mask", "MASK"]
    if trained.name == "stylenet":
        return ["stylize", "IMAGES"]
    if data.scale > 1:
        return ["upscale", "IMAGES"]
    return ["restore" if data.degrade and "edges" not in data.degrade else "translate", "IMAGES"]


def _dry_run(model: str, data: str, asked: Sections, flags: Flags, common: Common) -> Answer:
    """Open the data, build the model, settle every setting: all that could be wrong before the first step."""
    from .. import api
    from ..config import to_dict

    network, dataset, resolved = api.rehearse(
        model,
        data,
        out=flags.out,
        config=asked["model"],
        data_config=asked["data"],
        progress=counter(common),
        **asked["train"],
    )
    config = to_dict(network.config)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    values = {
        "model": {"name": model, "parameters": parameters, **config},
        "data": {"path": data, "images": len(dataset), **asdict(dataset.spec)},
        "train": to_dict(resolved),
    }
    shape = "x".join(str(side) for side in (dataset.spec.height, dataset.spec.width, dataset.spec.channels))
    text = [lines(f"{model}: {parameters:,} parameters", config)]
    text += [lines(f"{data}: {len(dataset):,} images of {shape}", {"classes": len(dataset.spec.classes) or None})]
    text += [lines("training", to_dict(resolved))]
    return Answer(values, "\n".join(text))
