"""Which files of a folder are pictures; what commands on many pictures are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import DataError
from .sniff import format_of

ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_HEAD = 32  # bytes that tell the format


def pictures_in(sources: Iterable[str | Path]) -> list[Path]:
    """Files as they are named, and the pictures of each folder in the order of their names, not of folders inside it.

    A picture is what begins as one or is called as one, so that damaged ones are not passed over in silence. Raises
    DataError for what is not there, and for a folder without pictures.
    """
    return [path for source in sources for path in _of(Path(source))]


def _of(source: Path) -> Iterator[Path]:
    if not source.exists():
        raise DataError(f"{source} is not there")
    if not source.is_dir():
        yield source
        return
    found = [path for path in sorted(source.iterdir()) if path.is_file() and _is_picture(path)]
    if not found:
        raise DataError(f"{source} holds no pictures")
    yield from found


def _is_picture(path: Path) -> bool:
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with path.open("rb") as file:
            return format_of(file.read(_HEAD)) is not None
    except OSError:
        return False
