"""Drawing raters again, few as they are: how far out in the tails a percentile interval must reach."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from .bootstrap import student_deviations

ENOUGH = 8  # raters, from which on whole raters are drawn again rather than single votes
_NORMAL = NormalDist()


def percentiles(draws: np.ndarray, *, units: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """(S, …) bootstrap draws over `units` raters -> (low, high), the expanded percentile interval.

    The plain percentile interval of a mean is too narrow by √((n - 1) / n) and by z instead of Student's t: with ten
    raters 95 % becomes 88 %. Both are made good by reaching further out. Source: Hesterberg 2015, arXiv 1411.5279,
    section 5.2.
    """
    units = max(units, 2)  # of one rater nothing is known; two are far enough apart to say so
    reach = student_deviations(level, units - 1) * math.sqrt(units / (units - 1))
    tail = 100 * _NORMAL.cdf(-reach)
    low, high = np.percentile(draws, [tail, 100 - tail], axis=0)
    return low, high
