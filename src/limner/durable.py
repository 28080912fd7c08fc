"""The one door to the disk for what must last: temporary file, fsync, rename, fsync of the folder.

A folder published here holds a manifest with the SHA-256 of every file, and appears under its name in one rename: it
is there whole or not at all. `verify` finds any later change, the manifest's own bytes included.
What is not meant to outlive a crash (logs, previews) need not come through here.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from . import errors

MANIFEST = "manifest.json"
_TEMPORARY = ".tmp-"
_TRASH = ".trash-"
_REPLACED = ".old-"
_held: set[TextIO] = set()  # lock files of this process


def _operate(name: str, path: Path) -> None:
    """Called before every operation on the disk, so that tests can make any of them fail or crash."""


def write_file(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace `path` by `data`, durably: afterwards it holds the old bytes or the new, whatever happens.

    data   all of it, or its parts in order, which are made while it is written
    """
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    with _disk_errors(path):
        try:
            _write(temporary, (data,) if isinstance(data, bytes) else data)
            _operate("rename", path)
            os.replace(temporary, path)
        except BaseException:  # whatever the parts are made by may fail in its own way
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, durably. Raises DiskError when one of them is not a folder."""
    with _disk_errors(path):
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            _operate("mkdir", folder)
            folder.mkdir(exist_ok=True)
            _sync_folder(folder.parent)


def publish_folder(target: Path, contents: Mapping[str, Callable[[], bytes]], *, about: Mapping[str, object]) -> None:
    """Write a folder of files and publish it as `target` in one rename.

    contents   file name -> function that makes its bytes, called one at a time so that they never all lie in memory
    about      JSON values kept in the manifest (format, step …)
    An existing `target` is replaced. Raises DiskError, leaving what was there before intact.
    """
    temporary = target.with_name(f"{_TEMPORARY}{os.getpid()}-{target.name}")
    make_folder(target.parent)
    with _disk_errors(target):
        _operate("mkdir", temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            files = {name: _write(temporary / name, (make(),)) for name, make in sorted(contents.items())}
            _write(temporary / MANIFEST, (_signed({**about, "files": files}),))
            _sync_folder(temporary)
            _swap(temporary, target)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def remove_folder(path: Path) -> None:
    """Remove a published folder; a crash on the way leaves either the whole folder or leftovers for `sweep`."""
    with _disk_errors(path):
        _trash(path)


def sweep(folder: Path) -> None:
    """Remove what dead processes left half-done in `folder`. Call it only while holding the folder's lock."""
    with _disk_errors(folder):
        for path in sorted(folder.glob(".*-*")):
            target = path.with_name(path.name.removeprefix(_REPLACED))
            if path.name.startswith(_REPLACED) and not target.exists():
                _operate("rename", target)  # the crash fell between the two renames of a replacement
                os.rename(path, target)
            elif path.name.startswith((_TEMPORARY, _TRASH, _REPLACED)):
                _operate("remove", path)
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def verify(folder: Path) -> dict:
    """The manifest of a published folder, after checking every byte of it.

    Raises BadCheckpoint naming the file and what is wrong with it.
    """
    manifest = read_manifest(folder)
    try:
        _verify_files(folder, manifest["files"])
    except OSError as error:
        raise errors.BadCheckpoint(f"{error.filename or folder} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, AttributeError):
        raise errors.BadCheckpoint(f"{folder / MANIFEST} does not list files as Limner writes them") from None
    return manifest


def read_manifest(folder: Path) -> dict:
    """The manifest alone, checked against its own checksum; the files it lists are not read."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        manifest = json.loads(data)
        unsigned = {key: value for key, value in manifest.items() if key != "checksum"}
        if data == _signed(unsigned):
            return manifest
    except OSError as error:
        raise errors.BadCheckpoint(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, AttributeError, RecursionError):
        pass  # not JSON, or not an object: said below
    raise errors.BadCheckpoint(f"{path} is damaged: it does not match its own checksum")


@contextmanager
def lock(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock file `path` until the block ends or the process dies, however it dies.

    holder   who is holding it, shown to whoever is refused
    Raises RunLocked at once when another process holds it.
    """
    with _disk_errors(path):
        file = open(path, "a+", encoding="utf-8")
    _held.add(file)
    try:
        with _disk_errors(path):
            _acquire(file, path, holder)
        yield
    finally:
        _held.discard(file)
        file.close()


def _acquire(file: TextIO, path: Path, holder: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise errors.RunLocked(f"{path.parent} is in use by {file.read().strip() or 'another process'}") from None
    file.seek(0)
    file.truncate()
    file.write(holder)
    file.flush()


def _let_go() -> None:
    """Close the locks in a forked child, such as a data worker: they must be free as soon as the parent is dead."""
    for file in _held:
        file.close()


os.register_at_fork(after_in_child=_let_go)


def _write(path: Path, parts: Iterable[bytes]) -> dict[str, object]:
    """Write and sync one file; returns its manifest entry."""
    _operate("write", path)
    size, sha256 = 0, hashlib.sha256()
    with open(path, "wb") as file:
        for part in parts:
            file.write(part)
            size += len(part)
            sha256.update(part)
        file.flush()
        _operate("fsync", path)
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": sha256.hexdigest()}


def _verify_files(folder: Path, files: Mapping[str, Mapping[str, object]]) -> None:
    """Raise BadCheckpoint unless `folder` holds exactly these files, with these sizes and checksums."""
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(present ^ set(files)):
        raise errors.BadCheckpoint(f"{folder / name} is {'not in the manifest' if name in present else 'missing'}")
    for name, entry in files.items():
        path = folder / name
        if path.stat().st_size != entry["bytes"]:
            raise errors.BadCheckpoint(f"{path} has {path.stat().st_size} bytes; the manifest says {entry['bytes']}")
        if _sha256(path) != entry["sha256"]:
            raise errors.BadCheckpoint(f"{path} was altered: its SHA-256 differs from the manifest's")


def _swap(temporary: Path, target: Path) -> None:
    """Rename `temporary` to `target`; what was there stands aside until then, where `sweep` finds it after a crash."""
    replaced = target.with_name(f"{_REPLACED}{target.name}")
    if target.exists():
        shutil.rmtree(replaced, ignore_errors=True)  # left by a replacement whose last operation failed
        _operate("rename", replaced)
        os.rename(target, replaced)
    try:
        _operate("rename", target)
        os.rename(temporary, target)
    except OSError:
        if replaced.exists():
            os.rename(replaced, target)
        raise
    _sync_folder(target.parent)
    if replaced.exists():
        _operate("remove", replaced)
        shutil.rmtree(replaced)


def _trash(path: Path) -> None:
    trash = path.with_name(f"{_TRASH}{os.getpid()}-{path.name}")
    _operate("rename", trash)
    os.rename(path, trash)
    _operate("remove", trash)
    shutil.rmtree(trash)


def _sync_folder(folder: Path) -> None:
    _operate("fsync", folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _signed(manifest: Mapping[str, object]) -> bytes:
    """The one way a manifest is written, so that any other sequence of bytes is known to be damaged."""
    body = json.dumps(manifest, sort_keys=True)
    checksum = hashlib.sha256(body.encode()).hexdigest()
    return json.dumps({**manifest, "checksum": checksum}, sort_keys=True, indent=1).encode()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says into a DiskError that names the path and the way out."""
    try:
        yield
    except errors.LimnerError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "choose a folder that can be written"
        raise errors.DiskError(
            error.errno, f"cannot write {path}: {os.strerror(error.errno or 0)}; {advice}"
        ) from error
