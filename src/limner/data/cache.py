"""Decoded data sets on the disk, each in a folder named by its content key.

    <home>/sets/<key>/images.bin      rows of uint8 (H, W, C)
                      tables.npz      labels, attributes, known
                      texts.json      ids and captions
                      manifest.json   spec, report, and size and CRC-32 of the other files
    <home>/seen/<key>.json            content key of a tree of files whose names, sizes and times have not changed

A folder appears under its name in one rename, when it is complete. What does not match its manifest is made again. So
the cache can be deleted, cut short or written by several processes at any time: only the time of opening changes.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from ..types import Attribute, DataSpec
from .dataset import Tables
from .report import LoadReport

FORMAT = 3  # raise it whenever the same files and settings would give other rows, tables or reports
STALE = 24 * 3600  # seconds after which an unfinished folder is taken for abandoned
_FILES = ("images.bin", "tables.npz", "texts.json")


@dataclass(frozen=True)
class Stored:
    """A complete data set as it lies in a folder.

    rows     split -> (first row, one past the last)
    digests  split -> hex key of its images and of what is known of each, however they were read
    images   the file of all rows, or the rows themselves where there is no disk to keep them on
    """

    spec: DataSpec
    report: LoadReport
    rows: dict[str, tuple[int, int]]
    digests: dict[str, str]
    tables: Tables
    images: Path | np.ndarray
    key: str


class Cache:
    """A folder of decoded data sets."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def seen(self, stat_key: str) -> str | None:
        """The content key that was last found for a tree with this stat key."""
        try:
            key = json.loads((self.home / "seen" / f"{stat_key}.json").read_text("ascii"))
        except (OSError, ValueError):
            return None
        return key if isinstance(key, str) and key.isalnum() else None

    def remember(self, stat_key: str, key: str) -> None:
        """Note the content key of a tree, so that the next start need not read its files. Raises OSError."""
        folder = self.home / "seen"
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{uuid.uuid4().hex}.tmp"
        draft.write_text(json.dumps(key), "ascii")
        draft.replace(folder / f"{stat_key}.json")

    def load(self, key: str) -> Stored | None:
        """The data set of this content key, or None when it is not there or not intact."""
        return load(self.home / "sets" / key, key)

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A new folder to fill; it is removed unless it was published. Raises OSError."""
        sets = self.home / "sets"
        sets.mkdir(parents=True, exist_ok=True)
        _sweep(sets)
        folder = sets / f"{uuid.uuid4().hex}.tmp"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, folder: Path, key: str) -> Stored:
        """Give a filled folder its name, unless another process was faster. Raises OSError."""
        place = self.home / "sets" / key
        for _ in range(2):
            try:
                folder.rename(place)
                break
            except OSError:
                if (there := load(place, key)) is not None:
                    return there
                # damaged: out of the way under a name that the next sweep takes for abandoned
                place.rename(place.with_name(f"{uuid.uuid4().hex}.tmp"))
        stored = load(place, key)
        if stored is None:
            raise OSError(f"{place} was damaged right after it was written")
        return stored


def home(cache_dir: Path | None = None) -> Path:
    """Where data sets are kept: `cache_dir`, else $LIMNER_HOME/cache, else the user's cache folder."""
    if cache_dir is not None:
        return Path(cache_dir)
    if chosen := os.environ.get("LIMNER_HOME"):
        return Path(chosen) / "cache"
    return Path(platformdirs.user_cache_dir("limner", appauthor=False))


def save_tables(folder: Path, stored: Stored) -> None:
    """Write everything but images.bin, which must be there; the manifest comes last. Raises OSError."""
    tables = stored.tables
    np.savez(folder / "tables.npz", labels=tables.labels, attributes=tables.attributes, known=tables.known)
    texts = {"ids": tables.ids, "captions": tables.captions}
    (folder / "texts.json").write_text(json.dumps(texts), "ascii")
    body = {
        "format": FORMAT,
        "key": stored.key,
        "spec": asdict(stored.spec),
        "report": stored.report.to_json(),
        "rows": stored.rows,
        "digests": stored.digests,
        "files": {name: [(folder / name).stat().st_size, _crc(folder / name)] for name in _FILES},
    }
    text = json.dumps(body)
    (folder / "manifest.json").write_text(json.dumps({"crc": zlib.crc32(text.encode()), "body": text}), "ascii")


def load(folder: Path, key: str) -> Stored | None:
    """The data set in a folder, or None when it is absent, damaged or of another format."""
    try:
        body = _manifest(folder, key)
        if body is None or any(not _intact(folder / name, *body["files"][name]) for name in _FILES):
            return None
        texts = json.loads((folder / "texts.json").read_text("ascii"))
        with np.load(folder / "tables.npz", allow_pickle=False) as arrays:
            labels, attributes, known = (arrays[name] for name in ("labels", "attributes", "known"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Stored(
        spec=_spec(body["spec"]),
        report=LoadReport.from_json(body["report"]),
        rows={split: (first, last) for split, (first, last) in body["rows"].items()},
        digests=body["digests"],
        tables=Tables(texts["ids"], labels, attributes, known, [tuple(captions) for captions in texts["captions"]]),
        images=folder / "images.bin",
        key=key,
    )


def _manifest(folder: Path, key: str) -> dict[str, Any] | None:
    outer = json.loads((folder / "manifest.json").read_text("ascii"))
    text = outer["body"]
    if zlib.crc32(text.encode()) != outer["crc"]:
        return None
    body = json.loads(text)
    return body if body["format"] == FORMAT and body["key"] == key else None


def _intact(path: Path, size: int, crc: int) -> bool:
    return path.stat().st_size == size and _crc(path) == crc


def _crc(path: Path) -> int:
    """CRC-32 of a file: finds every torn write, and costs a fraction of a second per gigabyte."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


def _spec(data: dict[str, Any]) -> DataSpec:
    attributes = tuple(Attribute(**{**entry, "values": tuple(entry["values"])}) for entry in data["attributes"])
    return DataSpec(
        **{**data, "classes": tuple(data["classes"]), "attributes": attributes, "maps": tuple(data["maps"])}
    )


def _sweep(sets: Path) -> None:
    """Remove the unfinished folders of processes that died."""
    for folder in sets.glob("*.tmp"):
        try:
            abandoned = time.time() - folder.stat().st_mtime > STALE
        except OSError:
            continue
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)
