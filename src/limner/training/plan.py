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
_REPLAN_AT = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97)  # shares of the time budget at which the speed is measured again


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

    @classmethod
    def fixed(cls, steps: int) -> Plan:
        return cls(steps, [(0, 0.0)])

    @classmethod
    def timed(cls, seconds: float) -> Plan:
        """A run of `seconds`; until its speed is known it is taken to be very long, that is, at its very beginning."""
        return cls(10**9, [(0, 0.0)], seconds)

    def progress(self, step: int) -> float:
        """Share of the run that lies before `step`, in [0, 1]."""
        start, done = next(knot for knot in reversed(self.knots) if knot[0] <= step)
        return min(1.0, done + (1 - done) * (step - start) / max(1, self.steps - start))

    def observe(self, step: int, seconds: float) -> None:
        """Plan again when it is time to: `step` steps took `seconds` of the budget in all.

        The last tenth of the steps must still fit, so a slow machine shortens the run and never cuts off its end.
        """
        if self.budget_seconds is None or self.replanned == len(_REPLAN_AT) or step == 0:
            return
        if seconds < _REPLAN_AT[self.replanned] * self.budget_seconds:
            return
        while self.replanned < len(_REPLAN_AT) and seconds >= _REPLAN_AT[self.replanned] * self.budget_seconds:
            self.replanned += 1
        here = self.progress(step)
        if self.knots[-1][0] < step:
            self.knots.append((step, here))
        remaining = max(0.0, self.budget_seconds - seconds) * step / seconds
        self.steps = step + max(1, int(remaining))

    def state(self) -> dict:
        """Plain values for the checkpoint."""
        return {
            "steps": self.steps,
            "knots": self.knots,
            "budget_seconds": self.budget_seconds,
            "replanned": self.replanned,
        }

    @classmethod
    def from_state(cls, state: dict) -> Plan:
        return cls(**{**state, "knots": [(int(step), float(done)) for step, done in state["knots"]]})
