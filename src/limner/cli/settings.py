"""The settings of a run from what was typed: flag over --set over TOML file over default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..config import load_toml, parse_assignments
from ..errors import ConfigError, unknown

Sections = dict[str, dict[str, Any]]  # "model", "data" and "train" -> name -> value

LENGTHS = {"budget", "steps", "images"}  # each sets the length of a run; the strongest layer that has one decides


def gather(model: str, *, toml: Path | None, assignments: Iterable[str], flags: Mapping[str, Any]) -> Sections:
    """All that was asked for, by section; names are checked for --set, values when the sections are used.

    flags   name -> value of the flags that were given, each the name of a field of TrainConfig or DataConfig
    """
    sections = known_sections(model)
    layers = [
        _file(toml, sections) if toml else {},
        parse_assignments(assignments, sections),
        parse_flags(flags, sections),
    ]
    merged: Sections = {name: {} for name in sections}
    for layer in layers:
        for name, values in layer.items():
            if name == "train" and LENGTHS & set(values):
                merged[name] = {key: value for key, value in merged[name].items() if key not in LENGTHS}
            merged[name] |= values
    return merged


def known_sections(model: str) -> dict[str, type]:
    """Section name -> the dataclass of its settings."""
    from .. import models
    from ..data.config import DataConfig
    from ..training.settings import TrainConfig

    return {"model": models.entry(model).load().Config, "data": DataConfig, "train": TrainConfig}


def parse_flags(flags: Mapping[str, Any], sections: Mapping[str, type]) -> Sections:
    """The flags that were given, by the section that has a setting of that name."""
    given = {name: value for name, value in flags.items() if value is not None}
    return {
        section: {field.name: given[field.name] for field in fields(sections[section]) if field.name in given}
        for section in ("data", "train")
    }


def _file(path: Path, sections: Mapping[str, type]) -> Sections:
    tables = load_toml(path)
    for name, values in tables.items():
        if name not in sections:
            raise ConfigError(f"{path}: {unknown('table', name, sections)}")
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: {name} is not a table; write [{name}] and its settings below")
    return tables
