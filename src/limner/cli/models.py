"""`limner models`: the catalogue, and every setting of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Parameter

from ..config import to_dict
from ..errors import MissingExtra
from .output import Answer, Common, lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Name = Annotated[str | None, Parameter(help="A name of the list, or package.module:Class.")]
PLAIN = Common()


def models(name: Name = None, /, *, common: Common = PLAIN) -> Answer:
    """List the models; with NAME what it can do, every setting of it and of training it, its options of sampling."""
    return _catalogue() if name is None else _one(name)


def _catalogue() -> Answer:
    from .. import models

    found: list[dict[str, Any]] = [
        {"name": entry.name, "summary": entry.summary, "abilities": abilities(entry.name)}
        for entry in models.CATALOGUE.values()
    ]

    def text(console: Console) -> None:
        rows = [(model["name"], ", ".join(model["abilities"]), model["summary"]) for model in found]
        console.print(_table(("model", "can", "what it is"), rows))
        console.out("all about one: limner models NAME     train it: limner train NAME DATA")

    return Answer({"models": found}, text)


def _one(name: str) -> Answer:
    from .. import models
    from ..data.config import DataConfig
    from ..training.settings import TrainConfig

    entry = models.entry(name)
    options = getattr(entry.load(), "Options", None)
    settings = {"model": models.configure(name, {}), "data": DataConfig(), "train": TrainConfig()}
    values = {
        "name": name,
        "summary": entry.summary,
        "abilities": abilities(name),
        "reading": dict(entry.reading),
        "settings": {section: described(config) for section, config in settings.items()},
        "options": described(options()) if options else [],
    }
    return Answer(values, lambda console: _print(values, console))


def _print(values: Mapping[str, Any], console: Console) -> None:
    name = values["name"]
    console.out(lines(name, {"is": values["summary"], "can": ", ".join(values["abilities"])}))
    if values["reading"]:
        told = ", ".join(f"{key}={value}" for key, value in values["reading"].items())
        console.out(f"\nits images are read with {told}, unless you say otherwise")
    console.out(f"\nlimner train {name} DATA --set key=value; none: the model or the data decides")
    for section, settings in values["settings"].items():
        console.print(_settings_table(section, settings))
    if values["options"]:
        console.out("limner sample RUN --set key=value")
        console.print(_settings_table("sampling", values["options"]))


def abilities(name: str) -> list[str]:
    """What the model of that name can do, asked of a small one."""
    from .. import models
    from ..model import ABILITIES
    from ..types import DataSpec

    try:
        data = models.suited(name, DataSpec(3, 32, 32, classes=("a", "b")))
        small = models.build(name, models.configure(name, {}), data)
    except MissingExtra:
        return ["needs a package that is not installed: limner doctor"]
    return [ability for ability, protocol in ABILITIES.items() if isinstance(small, protocol)]


def described(config: Any) -> list[dict[str, Any]]:
    """Name, type, value and help of every setting of a config that holds the defaults."""
    hints = get_type_hints(type(config))
    return [
        {
            "name": field.name,
            "type": _words(hints[field.name]),
            "default": to_dict(config)[field.name],
            "help": field.metadata.get("help", ""),
        }
        for field in fields(config)
    ]


def _words(hint: Any) -> str:
    """A type as people write its values: `gaussian | mixture`, `int | none`, `tuple of float`."""
    if get_origin(hint) is Literal:
        return " | ".join(map(str, get_args(hint)))
    inner = [_words(part) for part in get_args(hint) if part is not ...]
    if get_origin(hint) is tuple:
        return f"list of {inner[0]}"
    if inner:
        return " | ".join(inner)
    return "none" if hint is type(None) else hint.__name__


def _settings_table(section: str, settings: list[dict[str, Any]]) -> Table:
    rows = [(one["name"], _default(one["default"]), one["type"], one["help"]) for one in settings]
    return _table((section, "default", "type", "what it does"), rows)


def _default(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(Text, row))
    return table
