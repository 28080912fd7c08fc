"""Frozen dataclasses <-> TOML, JSON and `--set key=value`. Unknown keys are refused with the nearest known name.

Types are checked by pydantic at this border; inside, everything is a plain frozen dataclass.
"""

from __future__ import annotations

import math
import reprlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ConfigError, unknown

T = TypeVar("T")


def setting(text: str, default: Any) -> Any:
    """A field of a dataclass with that default, and what it does in words, as `limner models NAME` shows it."""
    return field(default=default, metadata={"help": text})


def from_dict(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build the frozen dataclass `cls` from plain values, checking every name and type, and that numbers are finite.

    where    prefix for messages, for example "model"
    Raises ConfigError naming the key, the value, the rule and, for an unknown key, the nearest known one.
    """
    from pydantic import TypeAdapter, ValidationError

    assert is_dataclass(cls)
    known = [field.name for field in fields(cls)]
    for key in values:
        if key not in known:
            raise ConfigError(unknown("key", _join(where, str(key)), [_join(where, name) for name in known]))
        _check_finite(_join(where, key), values[key])
    hints = get_type_hints(cls)
    try:
        return TypeAdapter(cls).validate_python({key: _fitted(value, hints[key]) for key, value in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # from the dataclass itself, which names the value in its message
            raise ConfigError(f"{where}: {message}" if where else message) from None
        key = _join(where, ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part in known))
        raise ConfigError(f"{key}={reprlib.repr(first['input'])}: {message}") from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from None


def _check_finite(key: str, value: Any) -> None:
    """Raise ConfigError for a number, or one among several, that is none: limits let NaN through, as it compares to
    nothing.
    """
    for part in value if isinstance(value, list | tuple) else (value,):
        if isinstance(part, float) and not math.isfinite(part):
            raise ConfigError(f"{key}={part} is not a finite number")


def to_dict(config: Any) -> dict[str, Any]:
    """The plain values of a frozen dataclass: what JSON and TOML hold."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


def load_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError naming file and line when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # tomllib lets out more than its own error
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def parse_assignments(assignments: Iterable[str], sections: Mapping[str, type]) -> dict[str, dict[str, Any]]:
    """`["latent=16", "train.lr=1e-3"]` -> {"model": {"latent": 16}, "train": {"lr": 0.001}}.

    sections   section name -> its dataclass, for example {"model": VAEConfig, "data": DataConfig}
    A key without a section goes to the one section that knows it. Where a setting holds settings itself, its own
    stand behind a point: `first_config.width=32`.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment!r} has no '='; write --set key=value")
        section, name, inner = _located(key.strip(), sections)
        value = parse_value(text.strip())
        if inner:
            values[section].setdefault(name, {})[inner] = value
        else:
            values[section][name] = value
    return values


def parse_value(text: str) -> Any:
    """A value as TOML writes it (3, 1e-3, true, [1, 2]), `none`, or else the text itself."""
    if text.lower() == "none":
        return None
    if "\n" in text:  # more than one line would be more than one value
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # tomllib lets out more than its own error
        return text


def _fitted(value: Any, hint: Any) -> Any:
    """A value as the command line gives it, as the field's type means it.

    `none` is a word where the field has that word for a value ("conditional=none") or holds any word, and no value
    elsewhere; where the field holds several values, they may be separated by commas ("augment=colour,cutout").
    """
    options = set(get_args(hint)) if isinstance(hint, UnionType) or get_origin(hint) is Union else {hint}
    if value is None and any(get_origin(option) is Literal and "none" in get_args(option) for option in options):
        return "none"
    if value is None and options == {str}:  # a name, of which "none" is one
        return "none"
    if isinstance(value, int) and not isinstance(value, bool) and str in options and int not in options:
        return str(value)  # --set preview_every=0
    if isinstance(value, str) and any(get_origin(option) is tuple for option in options):
        return [parse_value(part.strip()) for part in value.split(",") if part.strip()]
    return value


def _located(key: str, sections: Mapping[str, type]) -> tuple[str, str, str]:
    """The (section, name, name within it) that a key means; the last is empty for most."""
    for section, cls in sections.items():
        for name in (each.name for each in fields(cls)):
            for start in (f"{name}.", f"{section}.{name}."):
                if key.startswith(start) and get_origin(get_type_hints(cls)[name]) is dict:
                    return section, name, key.removeprefix(start)
    return (*_resolve(key, sections), "")


def _resolve(key: str, sections: Mapping[str, type]) -> tuple[str, str]:
    """The (section, name) that a key means."""
    known = {f"{section}.{field.name}" for section, cls in sections.items() for field in fields(cls)}
    matches = [path for path in known if path == key or ("." not in key and path.endswith(f".{key}"))]
    if len(matches) == 1:
        section, name = matches[0].split(".", 1)
        return section, name
    if matches:
        raise ConfigError(f"key {key!r} could be {' or '.join(sorted(matches))}; write it in full")
    names = known if "." in key else {path.split(".", 1)[1] for path in known}
    raise ConfigError(unknown("key", key, names))


def _join(where: str, key: str) -> str:
    return ".".join(part for part in (where, key) if part)
