"""A tree of files that is read by name: a folder here, a tar archive in tar.py. It does not know what the files mean.

Only regular files are ever opened. Hidden files, folders behind links, links that lead out of the tree and whatever is
not a file (pipes, sockets, devices) are passed over and counted, so no tree can make the walk hang.
"""

from __future__ import annotations

import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ...errors import BadImage, DataError
from .base import SPLITS, Findings

MAX_FILE = 256 << 20  # bytes; no image or text that is read whole may be larger
_JUNK = {"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"}
_SPLIT_FOLDERS = {
    **{name: "train" for name in ("train", "training")},
    **{name: "val" for name in ("val", "valid", "validation", "dev")},
    **{name: "test" for name in ("test", "testing")},
}


class Tree(ABC):
    """Files by name. Names are "/"-separated, sorted, and lack the folders that all of them share (`base`).

    findings   what was passed over while the names were listed
    """

    base: str
    findings: Findings

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The names of all files."""

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """The file, for reading; safe to call from several threads. Raises BadImage when it cannot be opened."""

    @abstractmethod
    def stat_key(self) -> str:
        """Hex digest that changes when a file may have changed; costs no reading of contents."""

    def read(self, name: str, limit: int = MAX_FILE) -> bytes:
        """The bytes of a file. Raises BadImage when it cannot be read or is larger than `limit` bytes."""
        with self.open(name) as file:
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise BadImage(f"{name!r} cannot be read: {error.strerror or error}") from error
        if len(data) > limit:
            raise BadImage(f"{name!r} is larger than {limit >> 20} MiB, the most that is read of one file")
        return data

    def hash_files(self, names: Iterable[str]) -> str:
        """Hex sha256 over the names and contents of files; one that cannot be read counts as such."""
        digest = hashlib.sha256()
        for name in names:
            digest.update(os.fsencode(name) + b"\0" + self._content_hash(name))
        return digest.hexdigest()

    def _content_hash(self, name: str) -> bytes:
        try:
            with self.open(name) as file:
                return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]
        except (BadImage, OSError) as error:
            return f"unreadable: {type(error).__name__}".encode()

    def _strip_base(self, names: list[str]) -> list[str]:
        """Set `base` and return the names without it."""
        self.base = shared_folder(names)
        return [name[len(self.base) :] for name in names]


class FolderTree(Tree):
    """The files of a folder, or just the ones that are named in `only`."""

    def __init__(self, root: Path, only: Iterable[str] | None = None) -> None:
        self.root, self.findings = os.path.realpath(root), Findings()
        self._digest = hashlib.sha256(os.fsencode(self.root))
        names = self._walk() if only is None else self._list(only)
        names.sort()
        self._names = self._strip_base(names)

    @property
    def names(self) -> list[str]:
        return self._names

    def open(self, name: str) -> BinaryIO:
        path = os.path.join(self.root, self.base + name)
        try:
            # never wait for the other end of a pipe that took the place of a file
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise BadImage(f"{name!r} cannot be opened: {error.strerror or error}") from error
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise BadImage(f"{name!r} is not a regular file")
        return os.fdopen(handle, "rb")

    def stat_key(self) -> str:
        return self._digest.hexdigest()

    def _list(self, only: Iterable[str]) -> list[str]:
        names = sorted(only)
        for name in names:
            self._note(name, os.stat(os.path.join(self.root, name)))
        return names

    def _walk(self) -> list[str]:
        names: list[str] = []
        waiting = [""]
        seen: set[tuple[int, int] | None] = {None}
        while waiting:
            folder = waiting.pop()
            below = []
            for entry in self._scan(folder):
                name = folder + entry.name
                if self._is_junk(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    identity = _identity(entry)
                    if identity not in seen:  # a folder mounted inside itself would have no end
                        seen.add(identity)
                        below.append(name + "/")
                elif self._take(name, entry):
                    names.append(name)
            waiting += reversed(below)
        return names

    def _scan(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not folder:
                raise DataError(f"{self.root!r} cannot be listed: {error.strerror or error}") from error
            self.findings.skip("folder that cannot be listed")
            return []

    def _is_junk(self, name: str) -> bool:
        reason = junk(name)
        if reason:
            self.findings.skip(reason)
        return reason is not None

    def _take(self, name: str, entry: os.DirEntry[str]) -> bool:
        """Note the file's status and accept it, or count why not."""
        try:
            if entry.is_symlink() and not self._leads_inside(entry.path):
                self.findings.skip("link to a folder or out of the data set")
                return False
            status = entry.stat()
        except OSError:
            self.findings.skip("broken link or file that cannot be reached")
            return False
        if not stat.S_ISREG(status.st_mode):
            self.findings.skip("not a regular file")
            return False
        self._note(name, status)
        return True

    def _leads_inside(self, path: str) -> bool:
        target = os.path.realpath(path, strict=True)
        return target.startswith(self.root + os.sep) and not os.path.isdir(target)

    def _note(self, name: str, status: os.stat_result) -> None:
        # ctime too: it moves even where a tool sets mtime back
        line = f"\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\n"
        self._digest.update(os.fsencode(name) + line.encode())


def _identity(entry: os.DirEntry[str]) -> tuple[int, int] | None:
    """(device, inode) of a folder; None when it has just vanished."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def junk(name: str) -> str | None:
    """Why a file or folder of this name is passed over, or None."""
    if name.startswith("._") or name == "__MACOSX":
        return "AppleDouble"
    if name.startswith("."):
        return "hidden"
    return "folder settings of a file manager" if name.lower() in _JUNK else None


def split_of(folder: str) -> str | None:
    """train, val or test when the folder's name says so."""
    return _SPLIT_FOLDERS.get(folder.lower())


def shared_folder(names: list[str]) -> str:
    """The folders that all names lie in, as "a/b/"; a folder named after a split is never taken off."""
    if not names:
        return ""
    first, last = names[0].split("/")[:-1], names[-1].split("/")[:-1]  # of sorted names these share the least
    shared = []
    for one, other in zip(first, last, strict=False):
        if one != other or split_of(one) in SPLITS:
            break
        shared.append(one)
    return "".join(part + "/" for part in shared)
