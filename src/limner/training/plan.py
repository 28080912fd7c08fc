"""How long a run is, and how far along each step is.

A run of fixed length is `step / steps`. A run with a time budget does not know its length in advance: it measures its
own speed and plans again a few times. Each plan is kept, so progress (and the learning rate that follows it) stays a
pure function of the step and the recorded plans, and a resumed run repeats it exactly.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import ConfigError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_REPLAN_AT = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97)  # shares of the run at which the speed is measured again


def parse_duration(name: str, text: str) -> float:
    """`90s`, `10m`, `1.5h`, `2d` in seconds; raises ConfigError naming what was given."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not match or float(match[1]) == 0:
        raise ConfigError(f"{name}={text!r} is not a time; write for example 90s, 10m, 2h or 1d")
    return float(match[1]) * _UNITS[match[2]]


@dataclass
class Plan:
    """Progress from 0 to 1 over the run: straight between knots (step, progress), then straight to 1 at `steps`."""

    steps: int
    knots: list[tuple[int, float]]
    budget_seconds: float | None = None
    replanned: int = 0  # how many of the times to plan again have passed
    measured: tuple[int, float] = (0, 0.0)  # (step, seconds) from which on the speed is measured next

    @classmethod
    def fixed(cls, steps: int) -> Plan:
        return cls(steps, [(0, 0.0)])

    @classmethod
    def timed(cls, seconds: float) -> Plan:
        """A run of `seconds`; until its speed is known it is taken to be very long, that is, at its very beginning."""
        return cls(10**9, [(0, 0.0)], seconds)

    def progress(self, step: int) -> float:
        """Share of the run that lies before `step`, in [0, 1]."""
        after = sum(1 for knot in self.knots if knot[0] <= step)
        start, done = self.knots[after - 1]
        stop, then = self.knots[after] if after < len(self.knots) else (self.steps, 1.0)
        return min(1.0, done + (then - done) * (step - start) / max(1, stop - start))

    def observe(self, step: int, seconds: float) -> None:
        """Plan again when it is time to: `step` steps took `seconds` of the budget in all.

        It is time by the clock or by the steps, whichever is further along, so that a run whose speed was misjudged
        neither overruns nor ends with time to spare. A slow machine shortens the run and never cuts off its end.
        """
        if self.budget_seconds is None or step == 0:
            return
        if step == 1 and seconds < self.budget_seconds / 2:
            self.measured = (1, seconds)  # the first step pays for set-up and says little of the others
            return
        here = self.progress(step)
        passed = sum(1 for share in _REPLAN_AT if max(here, seconds / self.budget_seconds) >= share)
        if passed <= self.replanned:
            return
        if self.knots[-1][0] < step:
            self.knots.append((step, here))
        since_step, since = self.measured
        rate = (step - since_step) / max(1e-9, seconds - since)
        self.steps = step + max(1, int(max(0.0, self.budget_seconds - seconds) * rate))
        self.replanned, self.measured = passed, (step, seconds)

    def seconds_left(self, step: int, seconds: float) -> float:
        """How long the rest will take, after `step` steps in `seconds`."""
        if self.budget_seconds is not None:
            return max(0.0, self.budget_seconds - seconds)
        return seconds * (self.steps - step) / max(1, step)

    def state(self) -> dict:
        """Plain values for the checkpoint."""
        return {
            "steps": self.steps,
            "knots": self.knots,
            "budget_seconds": self.budget_seconds,
            "replanned": self.replanned,
            "measured": self.measured,
        }

    @classmethod
    def from_state(cls, state: dict) -> Plan:
        knots = [(int(step), float(done)) for step, done in state["knots"]]
        return cls(**{**state, "knots": knots, "measured": tuple(state["measured"])})
