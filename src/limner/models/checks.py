"""Rules that the configs of models share. Types are checked at the border (config.py); these check values."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..errors import ConfigError, unknown


def at_least(config: Any, least: float, *names: str) -> None:
    """Raise ConfigError unless those settings are `least` or more; None, which leaves a setting open, passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not value >= least:
            raise ConfigError(f"{name}={value} is less than {least}; use {least} or more")


def shares(config: Any, *names: str) -> None:
    """Raise ConfigError unless those settings lie in [0, 1)."""
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise ConfigError(f"{name}={value} is not a share; use 0 or more and less than 1")


def choices(config: Any) -> None:
    """Raise ConfigError unless every setting that is one of a list of names, or several of them, is on its list."""
    for name, hint in get_type_hints(type(config)).items():
        value, several = getattr(config, name), get_origin(hint) is tuple
        names = get_args(get_args(hint)[0] if several else hint)
        if get_origin(get_args(hint)[0] if several else hint) is not Literal:
            continue
        for chosen in value if several else (value,):
            if chosen not in names:
                raise ConfigError(f"{name}: {unknown('choice', str(chosen), names)}")
