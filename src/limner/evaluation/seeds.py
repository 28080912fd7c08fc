"""One training run says little of a method: several runs of it, with other seeds, as one subject.

Its numbers are means over the runs. Their intervals are Student's over the runs, so they hold what another run would
give, where those of one run hold what other images of that same run would give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..errors import ConfigError
from ..metrics.bootstrap import over_runs
from ..metrics.number import Number
from .compare import check_alike
from .evaluate import Evaluation


def pooled(evaluations: Sequence[Evaluation], subject: str) -> Evaluation:
    """Runs of one method, judged alike, as one subject of that name.

    A number that not all of them have is listed as skipped. Raises UnlikeProtocols, and ConfigError for fewer than
    two runs or the same one twice.
    """
    names = [each.subject for each in evaluations]
    if len(evaluations) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"{', '.join(names) or 'nothing'} cannot be pooled; name two or more runs, each once")
    check_alike(evaluations)
    first = evaluations[0]
    every = [{number.name: number for number in each.numbers} for each in evaluations]
    seen = list(dict.fromkeys(name for held in every for name in held))
    shared = [name for name in seen if all(name in held for held in every)]
    return Evaluation(
        subject,
        {**first.about, "runs": len(evaluations)},
        tuple(_mean([held[name] for held in every]) for name in shared),
        first.floors,
        (*first.skipped, *((name, "not every run has it") for name in seen if name not in shared)),
        sum(each.seconds for each in evaluations),
    )


def _mean(numbers: Sequence[Number]) -> Number:
    """The mean over runs; without an interval where a run's value is not finite, which the mean then is not either."""
    first, values = numbers[0], [number.value for number in numbers]
    found = over_runs(values) if all(map(math.isfinite, values)) else None
    return replace(
        first,
        value=float(np.mean(values)),
        interval=None if found is None else found.interval,
        notes=(f"mean of {len(values)} runs: {', '.join(f'{value:.4g}' for value in values)}", *first.notes),
        details={"runs": values},
    )
