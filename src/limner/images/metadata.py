"""PNG with text, so that a picture says how it was made.

Two keywords are written: `parameters`, the line of settings that other image tools show and read, and `limner`, a JSON
record from which Limner makes the same picture again. Only what is passed in is written: nothing of an input file's
EXIF, GPS, XMP or comments can reach an output.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import BadImage, ConfigError
from .limits import DEFAULT_LIMITS, Limits
from .read import read_text

__all__ = ["encode_png", "parameters_line", "picture_text", "read_record", "read_text"]

RECORD = "limner"
PARAMETERS = "parameters"

_KEY = re.compile(r"\w[\w \-/]+")  # what the readers of `parameters` accept before the colon
_NEEDS_QUOTES = re.compile(r'[,:"\n\r]')


def encode_png(image: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """uint8 (H, W, 1 | 3 | 4) as the bytes of a PNG; the same image and text always give the same bytes.

    Text is written as tEXt where Latin-1 can hold it, else as iTXt in UTF-8; the record always as iTXt.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4) or 0 in image.shape:
        raise ConfigError(f"an image of {image.dtype} {image.shape} is no PNG; it must be uint8 (H, W, 1 | 3 | 4)")
    info = PngImagePlugin.PngInfo()
    for keyword, value in (text or {}).items():
        _check_text(keyword, value)
        if keyword == RECORD:
            info.add_itxt(keyword, value)
        else:
            info.add_text(keyword, value)  # falls back to iTXt by itself
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG", pnginfo=info, compress_level=6)
    return file.getvalue()


def _check_text(keyword: str, value: str) -> None:
    """PNG's rules for keywords (section 11.3.4.2 of the specification): 1 to 79 printable Latin-1 characters."""
    if not re.fullmatch(r"[ -~\xa1-\xff]{1,79}", keyword) or keyword != " ".join(keyword.split()):
        raise ConfigError(f"{keyword!r} is no PNG keyword; use 1 to 79 printable Latin-1 characters")
    if "\0" in value:
        raise ConfigError(f"the text of {keyword!r} holds a NUL, which PNG cannot store; remove it")


def parameters_line(settings: Mapping[str, Any], *, prompt: str = "", negative_prompt: str = "") -> str:
    """The text of `parameters`: prompt, negative prompt, and "Steps: 20, Seed: 7, Size: 64x64, …" as the last line.

    A value that holds a comma, colon, quote or line break is quoted as JSON. Readers recognise the last line when it
    has at least three pairs.
    """
    for key in settings:
        if not _KEY.fullmatch(key):
            raise ConfigError(
                f"{key!r} is no name of a setting; use letters, digits, spaces, '-' and '/', at least two"
            )
    negative = f"Negative prompt: {negative_prompt}" if negative_prompt else ""
    pairs = ", ".join(f"{key}: {_quoted(str(value))}" for key, value in settings.items())
    return "\n".join(line for line in (prompt, negative, pairs) if line)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.search(value) else value


def picture_text(
    settings: Mapping[str, Any], record: Mapping[str, Any], *, prompt: str = "", negative_prompt: str = ""
) -> dict[str, str]:
    """The text for `encode_png`: the line of settings for other tools, and our record as JSON (no NaN, sorted keys)."""
    return {
        PARAMETERS: parameters_line(settings, prompt=prompt, negative_prompt=negative_prompt),
        RECORD: json.dumps(record, sort_keys=True, allow_nan=False),
    }


def read_record(source: bytes | Path, *, limits: Limits = DEFAULT_LIMITS) -> dict[str, Any] | None:
    """Our record in a PNG, None where there is none; BadImage when it is not a JSON object. Judge it before use."""
    text = read_text(source, limits=limits).get(RECORD)
    if text is None:
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadImage(f"the text {RECORD!r} of the picture is not JSON: {error}") from error
    if not isinstance(record, dict):
        raise BadImage(f"the text {RECORD!r} of the picture is JSON, but not an object")
    return record
