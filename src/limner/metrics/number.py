"""A measured number and what it needs to be believed: its protocol and its interval. Unlike numbers are not compared.

Metrics are three pure steps, images -> features -> statistics -> number; this file is the shape of what comes out. It
knows no metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True)
class Protocol:
    """How a number was measured. Two numbers may be compared when their protocols are equal.

    metric            name and, where it has one, the version of the definition
    features          name of the feature space; None where the metric needs none
    features_sha256   of the weights behind the features
    resize            how images reach the size that features are computed at
    precision         arithmetic of the features
    generated, real   images on both sides
    split             of the real images: train, val, test or all
    data_sha256       digest of the real images
    seed              of the generated images and of everything drawn to measure them
    settings          the metric's own: k, subsets, kernel …
    """

    metric: str
    features: str | None = None
    features_sha256: str | None = None
    resize: str | None = None
    precision: str | None = None
    generated: int = 0
    real: int = 0
    split: str | None = None
    data_sha256: str | None = None
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def differences(self, other: Protocol) -> list[str]:
        """What keeps two numbers from being compared, in words: `generated: 5,000 against 1,000`. The seed does not."""
        ours, theirs = self._flat(), other._flat()
        return [
            f"{name}: {_words(ours.get(name))} against {_words(theirs.get(name))}"
            for name in {**ours, **theirs}
            if ours.get(name) != theirs.get(name)
        ]

    def _flat(self) -> dict[str, Any]:
        plain = asdict(self)
        settings = plain.pop("settings")
        del plain["seed"]
        return plain | {f"settings.{name}": value for name, value in settings.items()}


@dataclass(frozen=True)
class Interval:
    """Where the number would lie if it were measured again, in a share `level` of the times.

    method   how it was found: `bootstrap over images, 1,000 resamples`, `jackknife in 20 groups` …
    """

    low: float
    high: float
    level: float = 0.95
    method: str = ""


@dataclass(frozen=True)
class Number:
    """One measured value. `name` names the features too, so that FD-Lite0 is never taken for FID.

    notes     what a reader must know to read it rightly: too few images, a biased estimator …
    details   parts of it for the report: values for each class, the bias …; plain JSON values
    """

    name: str
    value: float
    better: Better
    protocol: Protocol
    interval: Interval | None = None
    unit: str = ""
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Number:
        """What `to_dict` gave, read back; raises KeyError or TypeError for anything else."""
        interval = values.get("interval")
        said = [values["value"], *([] if interval is None else (interval["low"], interval["high"]))]
        for value in said:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{values.get('name')!r} has {value!r} where a number should be")
        return cls(
            **{
                **values,
                "protocol": Protocol(**values["protocol"]),
                "interval": None if interval is None else Interval(**interval),
                "notes": tuple(values.get("notes", ())),
            }
        )


def _words(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
