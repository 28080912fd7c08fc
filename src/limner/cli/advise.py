"""`limner advise`: which model for these images, in this time, on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .output import Answer, Common, counter, lines, note

if TYPE_CHECKING:
    from ..advice import Advice, Choice

PLAIN = Common()


def advise(
    data: Annotated[str, Parameter(help="A folder, an archive, or builtin:openmoji, :shapes, :digits.")],
    /,
    *,
    budget: Annotated[str, Parameter(help="Training time: 90s, 30m, 2h.")] = "10m",
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, mps …")] = "auto",
    resolution: Annotated[str | None, Parameter(help="64, or 96x64 (height x width); by default the data's.")] = None,
    models: Annotated[str | None, Parameter(help="Names to choose among, with commas; by default what suits.")] = None,
    fresh: Annotated[bool, Parameter(show_default=False, help="Try again what was tried within a day.")] = False,
    common: Common = PLAIN,
) -> Answer:
    """Try the models that suit the images of DATA for seconds each, and say which to train for the budget."""
    from .. import advice

    found = advice.advise(
        data,
        budget=budget,
        device=device,
        models=None if models is None else [name.strip() for name in models.split(",") if name.strip()],
        data_config={} if resolution is None else {"resolution": resolution},
        fresh=fresh,
        progress=counter(common),
        say=lambda text: note(common, text),
    )
    return Answer(found.to_dict(), _text(found))


def _text(found: Advice) -> str:
    facts = found.facts
    size = f"{facts.height}x{facts.width}x{facts.channels}"
    parts = [f"{facts.images:,} images of {size}, {found.budget} of training:"]
    parts += [_choice(place, each) for place, each in enumerate(found.choices, 1)]
    if found.left_out:
        parts.append(lines("not on the list", found.left_out))
    return "\n\n".join(parts)


def _choice(place: int, choice: Choice) -> str:
    steps = [f"{stage.model} {stage.steps:,} steps in {clock(stage.seconds)}" for stage in choice.stages]
    facts: dict[str, Any] = {
        "why": choice.reason,
        "beware": choice.warning,
        "does": ", then ".join(steps),
        "takes": f"{clock(choice.seconds)}, {megabytes(choice.memory)} of memory, {megabytes(choice.disk)} of disk",
        "run": choice.command,
    }
    return lines(f"{place}. {choice.candidate.model}", facts)


def clock(seconds: float) -> str:
    """`45 s`, `10.4 min`, `2.1 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def megabytes(count: int) -> str:
    """`412 MB`."""
    return f"{count / 1e6:,.0f} MB"
