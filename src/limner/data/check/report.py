"""What a check found: plain values for --json, and tables for people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ..names import few, printable
from ..report import Column

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Level = Literal["stop", "warning", "note"]
_STYLES = {"stop": "bold red", "warning": "yellow", "note": "cyan", "good": "green", "look": "yellow"}
SHOWN = 12  # rows of a table before the rest is summed up


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    kind       a fixed word: corrupt, leak, near_leak, duplicate, near_duplicate, jpeg, was_jpeg, gray, mixed, opaque,
               blank, tiny, upscaled, aspect, misnamed, imbalance, skipped, table
    level      stop: training would refuse; warning: worth fixing first; note: good to know
    count      pictures it is true of, 0 where it is about the whole
    examples   names of a few of them
    """

    kind: str
    level: Level
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sizes:
    """Sizes of the pictures: the most frequent as (width, height, pictures), and three quantiles of the short side."""

    common: list[tuple[int, int, int]]
    different: int
    shortest: int
    median: int
    longest: int


@dataclass(frozen=True)
class CheckReport:
    """Everything that `limner data check` has to say.

    pictures      that could be decoded
    unlabelled    pictures without a class, where others have one
    corrupt       (name, reason) of each that could not be decoded
    exact, near   groups of names that show the same, and nearly the same
    leaks         (name, name) of each pair that shows the same or nearly so in two splits
    good_for      what so many pictures are good for, in sentences
    """

    name: str
    layout: str
    attribution: str
    pictures: int
    splits: dict[str, int]
    classes: dict[str, int]
    unlabelled: int
    captioned: int
    columns: list[Column]
    formats: dict[str, int]
    modes: dict[str, int]
    sizes: Sizes | None
    resolution: str
    jpeg_quality: dict[str, int]
    corrupt: list[tuple[str, str]]
    exact: list[list[str]]
    near: list[list[str]]
    leaks: list[tuple[str, str]]
    findings: list[Finding]
    good_for: list[str]
    seconds: float
    size_guide: list[tuple[str, str]] = field(default_factory=list)

    @property
    def verdict(self) -> Literal["stop", "look", "good"]:
        """stop: training would refuse this data; look: something is worth fixing first; good: go ahead."""
        levels = {finding.level for finding in self.findings}
        return "stop" if "stop" in levels else "look" if "warning" in levels else "good"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; lone surrogates in names survive json.dumps with its default ASCII escapes."""
        return {"verdict": self.verdict, **asdict(self)}

    def found(self, kind: str) -> Finding | None:
        """The finding of this kind, if there is one."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def render(self, console: Console) -> None:
        """Print tables for people."""
        from rich.text import Text

        console.print(self._summary())
        for table in (_counts("classes", self.classes), self._attributes(), self._sizes()):
            if table is not None:
                console.print(table)
        console.print(self._findings())
        console.print(self._guide())
        words = {"good": "good to train on", "look": "worth a look first", "stop": "training would refuse this"}
        console.print(Text(f"{self.name}: {words[self.verdict]}", style=_STYLES[self.verdict]))

    def _summary(self) -> Table:
        table = _table(None, "", "")
        rows = {
            "data": f"{self.name} ({self.layout})",
            "by": self.attribution,
            "pictures": f"{self.pictures:,}" + (f", and {len(self.corrupt):,} damaged" if self.corrupt else ""),
            "splits": _listed(self.splits),
            "captions": f"{self.captioned:,} pictures" if self.captioned else "none",
            "formats": _listed(self.formats),
            "modes": _listed(self.modes),
            "JPEG quality": _listed(self.jpeg_quality),
            "trains at": self.resolution,
            "time": f"{self.seconds:.1f} s, {self.pictures / max(self.seconds, 1e-9):,.0f} pictures/s",
        }
        for what, value in rows.items():
            if value:
                table.add_row(what, _plain(value))
        return table

    def _attributes(self) -> Table | None:
        if not self.columns:
            return None
        table = _table("attributes", "column", "understood as", "pictures", "values")
        for column in self.columns:
            table.add_row(_plain(column.name), column.kind or "left out", f"{column.known:,}", _plain(column.note))
        return table

    def _sizes(self) -> Table | None:
        if self.sizes is None:
            return None
        common = {f"{width}x{height}": count for width, height, count in self.sizes.common}
        left = self.pictures - sum(common.values())
        if left:
            common[f"{self.sizes.different - len(common):,} other sizes"] = left
        return _counts("width x height", common)

    def _findings(self) -> Table:
        from rich.text import Text

        table = _table("findings", "", "what", "for example")
        for finding in self.findings:
            level = Text(finding.level, style=_STYLES[finding.level])
            table.add_row(level, _plain(finding.message), _plain(few(list(finding.examples), 3)))
        if not self.findings:
            table.add_row(Text("good", style=_STYLES["good"]), "nothing to complain about", "")
        return table

    def _guide(self) -> Table:
        table = _table("what this is good for", "", "")
        for sentence in self.good_for:
            table.add_row("yours", _plain(sentence))
        for numbers, words in self.size_guide:
            table.add_row(f"[dim]{numbers}[/dim]", f"[dim]{words}[/dim]")
        return table


def _table(title: str | None, *columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", show_header=any(columns), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _counts(title: str, counts: dict[str, int]) -> Table | None:
    if not counts:
        return None
    table = _table(title, "", "pictures")
    for name, count in list(counts.items())[:SHOWN]:
        table.add_row(_plain(name), f"{count:,}")
    if len(counts) > SHOWN:
        table.add_row(f"{len(counts) - SHOWN:,} more", f"{sum(list(counts.values())[SHOWN:]):,}")
    return table


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _plain(text: str):
    """Text that a terminal shows as it is: nothing in a file name is taken for markup or a control code."""
    from rich.text import Text

    return Text(printable(text))
