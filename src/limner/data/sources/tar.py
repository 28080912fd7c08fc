"""A tar archive, gzipped or not, read by member name. Nothing is ever written under a member's name.

A gzipped archive is unpacked once, as one stream, into a temporary file that has no name. Links, devices, sparse files
and members whose names are absolute or climb upwards are passed over and counted.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import weakref
import zlib
from array import array
from bisect import bisect_left
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from ...errors import BadImage, DataError
from .base import Findings
from .tree import Tree, junk

_BLOCK = 1 << 20
SPARE = 1 << 30  # bytes that unpacking a gzipped archive must leave free on the disk
_TAR_ERRORS = (tarfile.TarError, EOFError, ValueError, OSError, zlib.error)


class TarTree(Tree):
    """The files of a .tar or .tar.gz archive. It is read when its names are first asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self.findings = path, Findings()

    def stat_key(self) -> str:
        status = self._path.stat()
        parts = (os.path.realpath(self._path), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return hashlib.sha256(os.fsencode(repr(parts))).hexdigest()

    def open(self, name: str) -> BinaryIO:
        place = bisect_left(self.names, name)
        if place == len(self.names) or self.names[place] != name:
            raise BadImage(f"{name!r} is not in the archive {self._path.name!r}")
        return io.BufferedReader(_Part(self._file.fileno(), self._starts[place], self._sizes[place]))

    @cached_property
    def names(self) -> list[str]:
        members = self._members()
        names = sorted(members)
        self._starts = array("q", (members[name][0] for name in names))
        self._sizes = array("q", (members[name][1] for name in names))
        return self._strip_base(names)

    @cached_property
    def _file(self) -> BinaryIO:
        file: BinaryIO = self._path.open("rb")
        if is_gzip(file.read(2)):
            file.seek(0)
            with file as packed:
                file = _unpacked(packed, self._path)
        weakref.finalize(self, file.close)  # nobody else knows when the last part has been read
        return file

    def _members(self) -> dict[str, tuple[int, int]]:
        """Name -> (first byte, bytes) of each plain file; of members with one name the last counts, as in unpacking."""
        members: dict[str, tuple[int, int]] = {}
        self._file.seek(0)
        try:
            with tarfile.open(fileobj=self._file, mode="r:") as archive:
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]  # tarfile would keep a kilobyte for every member
                    if name := self._accepted(member):
                        members[name] = (member.offset_data, member.size)
        except _TAR_ERRORS as error:
            raise DataError(f"{str(self._path)!r} is not an intact tar archive: {error}") from error
        return members

    def _accepted(self, member: tarfile.TarInfo) -> str | None:
        """The tidied name of a member that is a plain file within the archive, or None."""
        if member.isdir():
            return None
        if not member.isreg() or member.issparse():
            self.findings.skip("link, device or sparse file in the archive")
            return None
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or member.name.startswith("/") or "\0" in member.name:
            self.findings.skip("name that leads out of the archive")
            return None
        for reason in filter(None, map(junk, parts)):
            self.findings.skip(reason)
            return None
        return "/".join(parts)


class _Part(io.RawIOBase):
    """`size` bytes of an open file from `start`; the file's own position stays, so that threads can share it."""

    def __init__(self, handle: int, start: int, size: int) -> None:
        self._handle, self._start, self._size, self._at = handle, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        wanted = max(0, min(len(buffer), self._size - self._at))
        data = os.pread(self._handle, wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        return self._at


def is_gzip(start: bytes) -> bool:
    """Whether a file begins as gzip data does."""
    return start[:2] == b"\x1f\x8b"


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, gzipped or not, by its first block."""
    with path.open("rb") as file:
        start = file.read(512)
        if is_gzip(start):
            file.seek(0)
            try:
                start = gzip.GzipFile(fileobj=file).read(512)
            except (EOFError, OSError, zlib.error):
                return False
    return start[257:262] == b"ustar" or path.name.lower().endswith((".tar", ".tar.gz", ".tgz"))


def _unpacked(file: BinaryIO, path: Path) -> BinaryIO:
    """The contents of a gzip file in a temporary file without a name. Raises DataError when torn or too large."""
    room = shutil.disk_usage(tempfile.gettempdir()).free - SPARE
    with gzip.GzipFile(fileobj=file) as packed, ExitStack() as unless_complete:
        try:
            out = unless_complete.enter_context(tempfile.TemporaryFile())
            while block := packed.read(_BLOCK):
                room -= len(block)
                if room < 0:
                    raise DataError(f"{str(path)!r} does not fit the disk when it is unpacked; unpack it elsewhere")
                out.write(block)
            out.flush()
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{str(path)!r} cannot be unpacked: {error}") from error
        unless_complete.pop_all()
    return out
