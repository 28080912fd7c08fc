"""Where results go when nobody says: the first folder of that name with a free number, so nothing is overwritten."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError, DiskError


def plain_name(text: str) -> str:
    """A short name that every file system and shell takes."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")[:60] or "unnamed"


def name_of(path: str | Path) -> str:
    """What to call the data or the run at `path`: `builtin:digits` is digits, `~/photos/` is photos."""
    text = str(path)
    return plain_name(text.partition(":")[2] if text.startswith("builtin:") else Path(text).expanduser().resolve().name)


def numbered(parent: Path, name: str) -> Iterator[Path]:
    """`parent/name-1`, `parent/name-2`, …"""
    return (parent / f"{name}-{number}" for number in itertools.count(1))


def free(parent: Path, name: str, ending: str = "") -> Path:
    """The first of the numbered paths, with that ending, at which there is neither a file or folder nor a picture."""
    paths = (path.with_name(path.name + ending) for path in numbered(parent, name))
    return next(p for p in paths if not p.exists() and not p.with_name(f"{p.name}.png").exists())


def sheet_of(folder: Path, *, overwrite: bool = False) -> Path:
    """Where a picture of what lies in a folder goes: beside it under its name, or into it where it has none (`.`).

    The first such name that is free, unless what is there may be replaced.
    """
    place = folder / "sheet.png" if folder.name in ("", "..") else folder.with_name(f"{folder.name}.png")
    if overwrite or not place.exists():
        return place
    return next(path for n in itertools.count(2) if not (path := place.with_stem(f"{place.stem}-{n}")).exists())


def targets(
    paths: Sequence[Path], folder: Path, *, ending: str = ".png", beside: Sequence[Path] = (), overwrite: bool = False
) -> list[Path]:
    """Where what is made of each file goes: under its own name, in `folder`.

    beside   other files that the command writes there
    Raises ConfigError, before anything is made, where one is there already or wanted twice.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a folder")
    found = [folder / f"{path.stem}{ending}" for path in paths]
    twice = [target for target, times in Counter([*found, *beside]).items() if times > 1]
    if twice:
        raise ConfigError(f"{twice[0]} would be made of two files; put what is made of each elsewhere")
    taken = next((target for target in found if target.exists()), None)
    if taken is not None and not overwrite:
        raise ConfigError(f"{taken} exists; choose another folder, or say --overwrite")
    return found


@contextmanager
def reserved(parent: Path, name: str) -> Iterator[Path]:
    """The first free numbered folder, made at once so that two commands never share one; removed if it stays empty."""
    for path in numbered(parent, name):
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            continue
        except OSError as error:
            raise DiskError(f"cannot make {path}: {error.strerror}; name another folder with --out") from None
    try:
        yield path
    finally:
        if not any(path.iterdir()):
            path.rmdir()
