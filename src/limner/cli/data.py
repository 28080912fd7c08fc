"""`limner data check`: what is wrong with data, and what it is good for."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..errors import DataError
from .output import Answer, Common, counter

PLAIN = Common()


def check(
    data: Annotated[str, Parameter(help="A folder, an archive, or builtin:openmoji, :shapes, :digits.")],
    /,
    *,
    resolution: Annotated[str | None, Parameter(help="That you mean to train at: 64, or 96x64.")] = None,
    set: Annotated[list[str] | None, Parameter(help="How images are read, key=value, as for train.")] = None,
    common: Common = PLAIN,
) -> Answer:
    """Look at every picture of DATA: damage, duplicates, leaks between splits, sizes, classes."""
    from ..config import from_dict, parse_assignments
    from ..data.check import check as look
    from ..data.config import DataConfig

    asked = parse_assignments(set or (), {"data": DataConfig})["data"]
    if resolution is not None:
        asked["resolution"] = resolution
    report = look(data, from_dict(DataConfig, asked, where="data"), progress=counter(common))
    return Answer(report.to_dict(), report.render, DataError.exit_code if report.verdict == "stop" else 0)
