"""`limner sample`: new pictures, and old ones made again from what they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ..errors import ConfigError
from . import places
from .output import Answer, Common, command, lines
from .pictures import Where, write

if TYPE_CHECKING:
    from ..made import Pictures
    from ..prompts import Expanded
    from ..trained import Trained

Run = Annotated[Path, Parameter(help="A run, one of its checkpoints, or a model folder.")]
Weights = Literal["raw", "ema_short", "ema_long"]


@Parameter(name="*")
@dataclass(frozen=True)
class Flags:
    """What to make."""

    number: Annotated[int, Parameter(name=["--number", "-n"], help="Pictures to make.")] = 16
    seed: Annotated[int, Parameter(help="Picture k of a seed is always the same.")] = 0
    first: Annotated[int, Parameter(help="Index of the first picture, to go on with a seed.")] = 0
    batch: Annotated[int | None, Parameter(help="Pictures made at a time; changes none of them.")] = None
    label: Annotated[str | None, Parameter(help="Class to show, by name or number.")] = None
    text: Annotated[str | None, Parameter(help="What to show, for models that read: 'a red apple'.")] = None
    expand: Annotated[
        str | None, Parameter(help="Let a language model make --text longer: MODEL@URL of any OpenAI-like service.")
    ] = None
    attribute: Annotated[list[str] | None, Parameter(help="Attribute to show, name=value.")] = None
    set: Annotated[list[str] | None, Parameter(help="Option of sampling, name=value; see `limner models NAME`.")] = None
    weights: Annotated[Weights | None, Parameter(help="Instead of those that the run chose.")] = None
    guide: Annotated[Path | None, Parameter(help="A weaker model, to push away from by --set guidance=2.")] = None
    device: Annotated[str, Parameter(help="auto, cpu, cuda, cuda:1, mps …")] = "auto"
    source: Annotated[Path | None, Parameter(name="--from", help="Make this picture again, from its own text.")] = None


MADE = Flags()
PLACES = Where()
PLAIN = Common()


def sample(run: Run, /, *, flags: Flags = MADE, where: Where = PLACES, common: Common = PLAIN) -> Answer:
    """Make pictures with RUN: a run, one of its checkpoints, or a model folder."""
    from .. import api

    if flags.source is not None:
        if replace(flags, source=None, device=MADE.device) != MADE:
            raise ConfigError(f"--from {flags.source} makes that picture again as it was; leave out what else it shows")
        return _again(run, flags, where)
    if flags.number < 1 or flags.first < 0 or (flags.batch or 1) < 1:
        raise ConfigError(
            f"-n {flags.number}, --first {flags.first}, --batch {flags.batch}: -n and --batch start at 1, --first at 0"
        )
    text = _text(flags)
    trained, guide = api.load(run, weights=flags.weights, device=flags.device), _guide(flags)
    where = where.settled("samples", places.name_of(run))
    where.check_free(range(flags.first, flags.first + flags.number))
    written = write(_stream(trained, flags, text, guide), where)
    values = {"model": trained.name, "model_sha256": trained.sha256, "seed": flags.seed, "first": flags.first}
    title = f"{written.count:,} pictures of seed {flags.seed} by {trained.name}"
    following = command("sample", run, *_rest(flags), "--first", str(flags.first + flags.number))
    return Answer(values | written.values, lines(title, where.facts, [following]))


def _rest(flags: Flags) -> list[str]:
    """The flags that make the same series of pictures go on, from another `--first`."""
    single = ("label", "text", "expand", "weights", "guide", "device")
    said = [part for name in single if (value := getattr(flags, name)) != getattr(MADE, name)
            for part in (f"--{name}", str(value))]  # fmt: skip
    for name in ("attribute", "set"):
        said += [part for value in getattr(flags, name) or () for part in (f"--{name}", value)]
    seed = ["--seed", str(flags.seed)] if flags.seed else []
    return ["-n", str(flags.number), *seed, *said]


def _text(flags: Flags) -> str | Expanded | None:
    """--text, as it is or as --expand makes it."""
    from ..prompts import expand_prompt

    if flags.expand is None:
        return flags.text
    model, at, endpoint = flags.expand.partition("@")
    if flags.text is None or not (model and at and endpoint):
        raise ConfigError(
            f"--expand {flags.expand} needs --text, and MODEL@URL, such as llama3@http://localhost:11434/v1"
        )
    return expand_prompt(flags.text, endpoint, model=model)


def _guide(flags: Flags) -> Trained | None:
    """The model of --guide, if it was given."""
    from .. import api

    return None if flags.guide is None else api.load(flags.guide, device=flags.device)


def _stream(trained: Trained, flags: Flags, text: str | Expanded | None, guide: Trained | None) -> Iterator[Pictures]:
    """The pictures asked for, `flags.batch` at a time."""
    options = options_of(trained, flags.set or ())
    attributes = parse_pairs("--attribute", flags.attribute or ())
    stop, batch = flags.first + flags.number, flags.batch or flags.number
    for first in range(flags.first, stop, batch):
        count = min(batch, stop - first)
        asked = {"first": first, "seed": flags.seed, "label": flags.label, "attributes": attributes, "text": text}
        yield from trained.stream(count, guide=guide, **asked, **options)  # type: ignore[arg-type]


def options_of(trained: Trained, assignments: Sequence[str]) -> dict[str, Any]:
    """The options of sampling in `--set name=value`, names checked against the model's own."""
    from ..config import parse_assignments
    from ..model import Samples
    from ..tasks.generate import need

    return parse_assignments(assignments, {"option": need(trained.network, Samples).Options})["option"]


def parse_pairs(flag: str, assignments: Sequence[str]) -> dict[str, str]:
    """`["hair=red"]` -> {"hair": "red"}."""
    pairs = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{flag} {assignment!r} has no '='; write {flag} name=value")
        pairs[name.strip()] = value.strip()
    return pairs


def _again(run: Path, flags: Flags, where: Where) -> Answer:
    """Make one picture again from the record in its PNG."""
    from .. import api
    from ..made import Recipe

    assert flags.source is not None
    recipe = Recipe.read(flags.source)
    trained = api.load(run, weights=recipe.weights, device=flags.device)
    where = where.settled("samples", places.name_of(run))
    where.check_free([recipe.index])
    written = write([trained.remake(recipe, guide=_guide(flags))], where)
    title = f"picture {recipe.index} of seed {recipe.seed} by {trained.name}, made again"
    values: Mapping[str, Any] = {"model": trained.name, "model_sha256": trained.sha256, "seed": recipe.seed}
    return Answer({**values, "first": recipe.index, **written.values}, lines(title, where.facts))
