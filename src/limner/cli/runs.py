"""`limner show` and `limner verify`: what a run is, how it stands, and whether every byte is as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadCheckpoint, ConfigError
from .output import Answer, Common, lines
from .sample import Run

if TYPE_CHECKING:
    from ..training.folder import RunFolder

PLAIN = Common()


def show(run: Run, /, *, common: Common = PLAIN) -> Answer:
    """Say what RUN is: model, data, steps, losses, checkpoints and whether each is whole, weights, files."""
    from ..training.folder import RunFolder

    folder = RunFolder(run)
    parts = [_state(part) for part in _published(run)]
    if not parts and not folder.is_run:
        raise _neither(run)
    about = _about(run, parts)
    values = {
        "path": str(run),
        "kind": "run" if folder.is_run else "model",
        **about,
        "weights": _weights(parts, run),
        "losses": _losses(folder),
        "folders": parts,
        "files": {path.name: path.stat().st_size for path in sorted(run.iterdir()) if path.is_file()},
    }
    return Answer(values, _text(values))


def verify(path: Run, /, *, common: Common = PLAIN) -> Answer:
    """Check every byte of a run, of one checkpoint, or of a model folder; exit code 5 when something is damaged."""
    parts = [_state(part) for part in _published(path)]
    if not parts:
        raise _neither(path)
    bad = [part for part in parts if part["problem"]]
    rows = {part["path"]: part["problem"] or "whole" for part in parts}
    title = f"{path}: {len(bad)} of {len(parts)} damaged" if bad else f"{path}: whole"
    return Answer({"ok": not bad, "folders": parts}, lines(title, rows), BadCheckpoint.exit_code if bad else 0)


def _neither(path: Path) -> ConfigError:
    return ConfigError(f"{path} is neither a run nor a model folder; `limner train` makes runs, under runs/ by default")


def _published(path: Path) -> Iterator[Path]:
    """The folders with a manifest: `path` itself, or those of a run, newest checkpoint first."""
    from .. import durable
    from ..training import checkpoint
    from ..training.folder import RunFolder

    run = RunFolder(path)
    if not run.is_run:
        yield from [path] if (path / durable.MANIFEST).exists() else []
        return
    yield from (folder for folder in (run.model, run.best) if folder.is_dir())
    yield from checkpoint.existing(run.checkpoints)


def _state(folder: Path) -> dict[str, Any]:
    """One published folder: its size, and what is wrong with it."""
    from .. import durable

    try:
        durable.verify(folder)
        problem = None
    except BadCheckpoint as error:
        problem = str(error)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return {"path": str(folder), "bytes": size, "problem": problem}


def _about(run: Path, parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What the newest whole folder says of itself, and what the run was asked for."""
    from ..bundle import CONFIG
    from ..training.folder import RunFolder

    folder = RunFolder(run)
    whole = next((Path(part["path"]) for part in parts if not part["problem"]), None)
    saved = json.loads((whole / CONFIG).read_bytes()) if whole else {}
    asked = folder.read_config() if folder.is_run else {}
    return {
        "model": asked.get("model", saved.get("model")),
        "config": asked.get("config", saved.get("config")),
        "data": asked.get("data"),
        "shape": saved.get("data"),
        "train": asked.get("train"),
        "about": saved.get("about", {}),
        "finished": folder.model.is_dir() if folder.is_run else None,
    }


def _weights(parts: list[dict[str, Any]], run: Path) -> list[str]:
    """The names that `sample --weights` takes here."""
    from ..training.checkpoint import TENSORS
    from ..training.ema import NAMES

    whole = [Path(part["path"]) for part in parts if not part["problem"]]
    return ["raw", *NAMES] if any((folder / TENSORS).is_file() for folder in whole) else []


def _losses(run: RunFolder) -> dict[str, dict[str, float | None]]:
    """Last and lowest of every loss in the log."""
    from ..training.log import read

    found: dict[str, dict[str, float | None]] = {}
    for line in read(run.log):
        for name, value in line.items():
            if name.endswith("/loss") or name.startswith("validation/"):
                lowest = found.get(name, {}).get("lowest")
                numbers = [number for number in (lowest, value) if number is not None]
                found[name] = {"last": value, "lowest": min(numbers, default=None)}
    return found


def _kind(folder: Path) -> str:
    return f"checkpoint {int(folder.name)}" if folder.name.isdecimal() else f"{folder.name}/"


def _text(values: dict[str, Any]) -> str:
    about, data, shape = values["about"], values["data"] or {}, values["shape"]
    facts = {
        "model": values["model"],
        "data": data.get("path") or about.get("dataset"),
        "shape": f"{shape['height']}x{shape['width']}x{shape['channels']}" if shape else None,
        "classes": len(shape["classes"]) or None if shape else None,
        "steps": f"{about['steps']:,} ({about['images_shown']:,} images, {about['minutes']:g} minutes)" if about else 0,
        "finished": {True: "yes", False: f"no; go on with: limner train --resume {values['path']}"}.get(
            values["finished"]
        ),
        "weights": ", ".join(values["weights"]),
    }
    for name, loss in values["losses"].items():
        facts[name] = "  ".join(f"{key} {value:.4g}" for key, value in loss.items() if value is not None)
    for part in values["folders"]:
        facts[_kind(Path(part["path"]))] = f"{part['bytes'] / 1e6:.1f} MB, {part['problem'] or 'whole'}"
    return lines(values["path"], facts)
