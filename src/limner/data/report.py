"""What was understood of a data set, and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .names import few, printable
from .sources.base import Findings


@dataclass(frozen=True)
class Column:
    """What became of one attribute column.

    kind     one of the kinds of Attribute, or None when it was left out
    known    rows that have a value
    note     its values or range; or why it was left out
    """

    name: str
    kind: str | None
    known: int
    note: str


@dataclass
class LoadReport:
    """What was understood of a data set: the whole of it, whichever split is open.

    splits       good images in each split
    classes      good images in each class, in the order of the class index; -1 is not counted
    resolution   the size that was chosen, and why
    bad          (name, reason) of each image that could not be decoded
    """

    layout: str
    splits: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    resolution: str = ""
    attribution: str = ""
    captions: int = 0
    columns: list[Column] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    rows_without_file: list[str] = field(default_factory=list)
    files_without_row: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)  # of this opening alone, such as a cache that cannot be written

    @classmethod
    def of(cls, layout: str, findings: Findings) -> LoadReport:
        """A report that starts from what was met while the records were listed."""
        return cls(layout, **asdict(findings))

    @property
    def bad_share(self) -> float:
        """Share of the images that could not be decoded."""
        total = len(self.bad) + sum(self.splits.values())
        return len(self.bad) / total if total else 0.0

    def attribute_table(self) -> list[list[str]]:
        """Rows of text, the header first: every column and every mismatch between table and files."""
        rows = [["column", "understood as", "rows", "values"]]
        rows += [[printable(c.name), c.kind or "left out", str(c.known), c.note] for c in self.columns]
        if self.rows_without_file:
            rows.append(
                ["rows without a file", "left out", str(len(self.rows_without_file)), few(self.rows_without_file)]
            )
        if self.files_without_row:
            rows.append(
                ["files without a row", "see notes", str(len(self.files_without_row)), few(self.files_without_row)]
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """Plain values; lone surrogates in names survive json.dumps with its default ASCII escapes."""
        kept = asdict(self)
        del kept["notices"]
        return kept

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LoadReport:
        columns = [Column(**column) for column in data["columns"]]
        bad = [(name, reason) for name, reason in data["bad"]]
        return cls(**{**data, "columns": columns, "bad": bad})
