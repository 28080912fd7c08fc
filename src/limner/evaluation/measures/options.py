"""Settings of measures, read from the material and checked where they are used."""

from __future__ import annotations

from ...errors import ConfigError
from ..material import Material


def whole(material: Material, name: str, default: int) -> int:
    """A whole number of at least 1, or the default where it was not given. Raises ConfigError naming it otherwise."""
    value = material.options.get(name, default)
    if name in material.options and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigError(f"{name}={value!r} is not a whole number of at least 1")
    return value


def whole_or_none(material: Material, name: str) -> int | None:
    """The same; None where it was not given."""
    return whole(material, name, 1) if material.options.get(name) is not None else None
