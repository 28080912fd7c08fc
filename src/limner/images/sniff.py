"""Which format some bytes are, by their first few; the name of a file is never asked."""

from __future__ import annotations

import struct

_BMP_HEADERS = tuple(struct.pack("<I", size) for size in (12, 40, 52, 56, 64, 108, 124))  # the sizes that exist


_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer (run: git lfs pull)",
    b"\x00\x05\x16\x07": "an AppleDouble side file of macOS",
    b"\xd0\xcf\x11\xe0": "an OLE file such as Thumbs.db",
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"8BPS": "a Photoshop document",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"<!doctype": "an HTML page",
    b"<html": "an HTML page",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "gzip data",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\x00\x00\x01\x00": "a Windows icon",
    b"MM\0+": "a big-endian BigTIFF",
    b"\x7fELF": "a program",
}


def format_of(data: bytes) -> str | None:
    """Pillow's name of an accepted format, by its first bytes; None for everything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0")):
        return "TIFF"
    if data.startswith(b"BM") and data[14:18] in _BMP_HEADERS:
        return "BMP"
    return None


def looks_like(data: bytes) -> str:
    """What a refused file seems to be, for the message."""
    if not data:
        return "an empty file"
    text = data[:64].lstrip().lower()  # HTML may start with spaces and in capitals
    for magic, meaning in _OTHERS.items():
        if data.startswith(magic) or text.startswith(magic):
            return meaning
    if data[4:8] == b"ftyp":
        return "an ISO media file such as AVIF, HEIC or MP4"
    return "of no format that is accepted"
