"""Folders of files that can be made again: each is there whole under its name, or it is not found.

A folder is filled under another name and gets its own in one rename, with a manifest of the size and CRC-32 of every
file. It is not flushed to the disk: what a crash leaves unwhole does not match its manifest, and is made again.
"""

from __future__ import annotations

import json
import shutil
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MANIFEST = "manifest.json"
STALE = 24 * 3600  # seconds after which an unfinished folder is taken for abandoned


@contextmanager
def draft(folder: Path) -> Iterator[Path | None]:
    """An empty folder beside `folder`, to fill; None where none can be made. What was not published is removed."""
    place = folder.with_name(f"{uuid.uuid4().hex}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder.parent)
        place.mkdir()
    except OSError:
        yield None
        return
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def append(file: Path, data: bytes | memoryview) -> None:
    """Write at the end of a file of a draft. Raises OSError."""
    with file.open("ab") as opened:
        opened.write(data)


def publish(filled: Path, folder: Path) -> None:
    """Give a filled draft its name, unless another process was faster with the same. Raises OSError."""
    files = {path.name: _facts(path) for path in sorted(filled.iterdir())}
    append(filled / MANIFEST, json.dumps(files).encode("ascii"))
    try:
        filled.rename(folder)
    except OSError:
        if whole(folder):
            return
        # damaged: out of the way under a name that the next sweep takes for abandoned
        folder.rename(folder.with_name(f"{uuid.uuid4().hex}.tmp"))
        filled.rename(folder)


def whole(folder: Path) -> bool:
    """Whether the folder is there and every file in it is as it was published."""
    try:
        files = json.loads((folder / MANIFEST).read_text("ascii"))
        # sizes first: a file that was cut short is found without reading the others
        same = all((folder / name).stat().st_size == facts[0] for name, facts in files.items())
        return bool(files) and same and all(_facts(folder / name) == facts for name, facts in files.items())
    except (OSError, ValueError, AttributeError, TypeError, IndexError):
        return False


def _facts(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    size = crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            size, crc = size + len(block), zlib.crc32(block, crc)
    return [size, crc]


def _sweep(parent: Path) -> None:
    """Remove the drafts of processes that died."""
    for place in parent.glob("*.tmp"):
        with suppress(OSError):
            if time.time() - place.stat().st_mtime > STALE:
                shutil.rmtree(place, ignore_errors=True)
