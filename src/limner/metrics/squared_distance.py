"""The interval of a squared distance that was estimated without bias, such as a kernel or a Fréchet distance.

Student's interval around the value is no use near 0. There the estimate is skew: its error is what the difference of
the two sets, as a vector, adds to the square of its own noise, and grows with the distance itself. So the interval
holds the distances that do not make the value a surprise, each judged by the error that it would have, as Wilson's
interval of a share does. Where the distributions are equal it reaches to 0 or below as often as it should.
"""

from __future__ import annotations

import math

from .number import Interval


def interval_of_square(
    value: float,
    *,
    jackknifed: float,
    second_order: float,
    noise: float,
    deviations: float,
    level: float = 0.95,
    method: str = "",
) -> Interval:
    """Where the squared distance lies whose unbiased estimate is `value`.

    jackknifed     variance of the value by a jackknife: first order, and second order twice
    second_order   variance that it has where the distance is 0
    noise          mean squared length of the noise in the difference of the sets: what the plain estimate has too much
    deviations     standard errors to both sides

    With a difference d, noise of covariance C and a squared distance s = |d|², the variance is 4 dᵀ C d + 2 tr C². The
    first part is taken for `rate` s. The rate is that of the measured difference, with its noise or without it,
    whichever is larger; and no larger than the largest eigenvalue of C allows. The interval is all s with
    (value - s)² ≤ deviations² (rate max(s, 0) + second_order), so it holds the value, also where that is below 0.
    """
    spread = math.sqrt(second_order)
    with_noise = jackknifed / (value + noise) if value + noise > 0 else 0.0
    without = max(jackknifed - 2 * second_order, 0.0) / max(value, spread) if max(value, spread) > 0 else 0.0
    rate = min(max(with_noise, without), math.sqrt(8) * spread)
    reach = deviations * spread  # how far a value strays from a distance of 0
    shift = deviations**2 * rate / 2
    inside = shift**2 + 2 * shift * value + reach**2
    half = math.sqrt(max(inside, 0.0))
    low = value - reach if value <= reach else value + shift - half
    # a value far below 0 may still be no surprise at a larger distance, which would have a larger error
    above = value > -reach or (inside >= 0 and value + shift > 0)
    return Interval(low, value + shift + half if above else value + reach, level, method)
