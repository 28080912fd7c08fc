"""The measures by name, imported when they are used: `limner evaluate --metrics fd,kid,…`.

A measure is a function `(Material) -> list[Number]` that raises NotApplicable, with the reason, where it does not fit.
It is thin: it picks from the material what a pure function of limner.metrics needs, and adds protocol and interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ConfigError, unknown

if TYPE_CHECKING:
    from ...metrics.number import Number
    from ..material import Material


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    target      "module:function", in this package
    default     whether `limner evaluate` takes it when no metrics are named
    floors      whether it is also taken of real images, noise, the mean image and a Gaussian, to set the scale
    """

    name: str
    target: str
    summary: str
    default: bool = True
    floors: bool = False

    def load(self) -> Callable[[Material], list[Number]]:
        module, _, function = self.target.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), function)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("fd", "distribution:frechet", "Fréchet distance of features", floors=True),
        Measure("kid", "distribution:kernel", "kernel distance of features, unbiased", floors=True),
    )
}


def chosen(names: list[str] | None) -> list[Measure]:
    """The measures of those names, or the default ones. Raises ConfigError for a name that is none."""
    for name in names or ():
        if name not in MEASURES:
            raise ConfigError(unknown("metric", name, MEASURES))
    return [MEASURES[name] for name in names] if names else [m for m in MEASURES.values() if m.default]
