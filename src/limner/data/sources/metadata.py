"""Images beside a table: metadata.jsonl or metadata.csv, as Hugging Face's imagefolder lays them out.

The column `file_name` is relative to the table's folder. `text`, `caption` or `prompt` hold captions, `label` the
class, `split` the split; every other column is an attribute. Where there is a table, folder names are not classes, and
images that no row names are left out.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ...errors import DataError
from ..names import few
from .base import Findings, Record
from .folder import FileSource, by_split, folder_split, image_names
from .tree import Tree, split_of

TABLES = ("metadata.jsonl", "metadata.csv")
_FILE_COLUMNS = ("file_name", "filename", "image")
_CAPTION_COLUMNS = ("text", "caption", "prompt")
_OWN = {*_FILE_COLUMNS[:1], *_CAPTION_COLUMNS, "label", "split"}
MAX_BAD_ROWS = 0.05


def find_tables(tree: Tree) -> list[str]:
    """The metadata files of a tree; of two in one folder, the .jsonl."""
    found: dict[str, str] = {}
    for ending in TABLES:
        for name in tree.names:
            folder, base = posixpath.split(name)
            if base == ending:
                found.setdefault(folder, name)
    return sorted(found.values())


def open_metadata(tree: Tree, tables: list[str]) -> FileSource:
    """Records of all tables of a tree. Rows that name one image twice give it their captions together."""
    findings = tree.findings
    images = image_names(tree, findings)
    there, records = set(images), dict[str, Record]()
    for table in tables:
        for row in read_table(tree, table, findings):
            record = _record(row, posixpath.dirname(table), table)
            if record.name not in there:
                findings.rows_without_file.append(record.name)
            elif first := records.get(record.name):
                records[record.name] = replace(first, captions=first.captions + record.captions)
            else:
                records[record.name] = record
    left_out = [name for name in images if name not in records]
    findings.files_without_row += left_out
    if left_out and records:
        findings.warnings.append(f"{len(left_out)} images have no row in the table and were left out: {few(left_out)}")
    elif left_out:
        raise DataError(
            f"no row of {few(tables)} names an image that is there (rows: {few(findings.rows_without_file)}; "
            f"images: {few(left_out)}); file_name is relative to the table's folder"
        )
    listed = by_split(list(records.values()))
    return FileSource(tree, listed, layout="images with a metadata table", findings=findings, others=tables)


def read_table(tree: Tree, name: str, findings: Findings) -> Iterator[Mapping[str, Any]]:
    """The rows of a table; rows that cannot be read are counted, and too many of them are a DataError."""
    text = tree.read(name).decode("utf-8-sig", "surrogateescape")
    rows, bad = (_json_rows if name.endswith(".jsonl") else _csv_rows)(text)
    if bad:
        findings.warnings.append(f"{len(bad)} rows of {name} cannot be read: {few(bad)}")
    if len(bad) > MAX_BAD_ROWS * (len(rows) + len(bad)):
        raise DataError(f"{len(bad)} of the {len(rows) + len(bad)} rows of {name!r} cannot be read: {few(bad)}")
    return iter(rows)


def _json_rows(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    bad: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            bad.append(f"line {number} ({error})")
            continue
        if isinstance(row, dict):
            rows.append(row)
        else:
            bad.append(f"line {number} (not an object)")
    return rows, bad


def _csv_rows(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[dict[str, Any]] = []
    bad: list[str] = []
    try:
        header = [column.strip() for column in next(reader, [])]
        for cells in reader:
            if len(cells) == len(header):
                rows.append(dict(zip(header, cells, strict=True)))
            elif cells:
                bad.append(f"line {reader.line_num} ({len(cells)} cells for {len(header)} columns)")
    except csv.Error as error:
        bad.append(f"line {reader.line_num} and all after it ({error})")
    return rows, bad


def _record(row: Mapping[str, Any], folder: str, table: str) -> Record:
    column = next((column for column in _FILE_COLUMNS if column in row), None)
    if column is None:
        raise DataError(f"a row of {table!r} has no file_name; its columns are {', '.join(map(str, row)) or 'none'}")
    name = posixpath.normpath(posixpath.join(folder, str(row[column])))
    label = row.get("label")
    attributes = {key: value for key, value in row.items() if key not in _OWN and key != column}
    return Record(
        name,
        split_of(str(row.get("split", ""))) or folder_split(name),
        label=None if label is None or label == "" else str(label),
        captions=tuple(caption for key in _CAPTION_COLUMNS for caption in _captions(row.get(key))),
        attributes=attributes or None,
    )


def _captions(value: object) -> tuple[str, ...]:
    """The captions in a cell that holds one or a list of them."""
    values = value if isinstance(value, list) else [value]
    return tuple(caption.strip() for caption in values if isinstance(caption, str) and caption.strip())
