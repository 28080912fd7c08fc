"""Pictures as files of a few whole numbers, with models that make such numbers of them.

    magic "LIM1" · sha256 of the model (16 bytes) · height, width (4 bytes each) · channels, kind (1 byte each)
    · step (4 bytes, of latents) · number of words (4 bytes) · words of the range coder · CRC-32 of all of it

What a number may be is learned while it is written: counts for each channel and for how large its neighbours are, which
the reader keeps in the same way. Counts are whole numbers, so both agree on every machine.
Range coder: the package constriction (Bamler 2022, arXiv 2201.01741).
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import BadImage, ConfigError, NotAble, require
from ..images.colour import with_channels
from ..images.grid import from_uint8, to_uint8
from ..model import Encodes, Model, Tokenizes
from ..types import Condition
from .tiles import device_of, per_tile

MAGIC = b"LIM1"
_HEAD = struct.Struct("<4s16sIIBBfI")
_LARGEST = 1 << 27  # pixels of a picture in a file
_CODEC, _TOKENS, _LATENTS = range(3)
_SMALL = 12  # numbers of this size and less have a symbol of their own; larger ones are escaped
_CONTEXTS = 6
_LIMIT = 1 << 16  # of a table's counts, which are then halved: so it forgets what lies far back
_ESCAPE_BITS = 24


class Compressed(NamedTuple):
    """A file, and what it says.

    bits   of the file, a pixel
    """

    data: bytes
    bits: float


def compress(model: Model, sha256: str, picture: np.ndarray, *, step: float = 1.0) -> Compressed:
    """(H, W, C) uint8 of any size -> a file. Transparency is laid on white; channels become the model's.

    sha256   of the model, in hex: only it can read the file
    step     between whole numbers of latents, in deviations: larger is coarser; only for models that are no codecs
    Raises NotAble for a model that makes no numbers of pictures.
    """
    if not 0 < step < math.inf:
        raise ConfigError(f"step={step} is not positive")
    way = _way(model)
    picture = with_channels(picture, model.data.channels)
    symbols = way.symbols(_filled(picture, *way.multiple), step)
    words = _encode(symbols, way.largest)
    height, width, channels = picture.shape
    head = _HEAD.pack(MAGIC, bytes.fromhex(sha256)[:16], height, width, channels, way.kind, step, len(words))
    body = head + words.astype("<u4").tobytes()
    data = body + struct.pack("<I", zlib.crc32(body))
    return Compressed(data, 8 * len(data) / (height * width))


def decompress(model: Model, sha256: str, data: bytes) -> np.ndarray:
    """What `compress` was given, as the model remembers it: (H, W, C) uint8.

    Raises BadImage for what is damaged or no such file, ConfigError for a file of another model.
    """
    head, words = _opened(data)
    _, model_hash, height, width, channels, kind, step, _ = head
    if model_hash != bytes.fromhex(sha256)[:16]:
        raise ConfigError(f"the file was written by another model, {model_hash.hex()}…; this one is {sha256[:32]}…")
    way = _way(model)
    if kind != way.kind or channels != model.data.channels or not (math.isfinite(step) and step > 0):
        raise BadImage("the file's head says what its model cannot have written; it is damaged")
    rows, columns = (-(-side // multiple) for side, multiple in zip((height, width), way.multiple, strict=True))
    symbols = _decode(words, way.shape(rows, columns), way.largest)
    return way.picture(symbols, step, rows, columns)[:height, :width]


# --- what a model's numbers are ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """From a padded picture (H, W, C) uint8 to numbers (K, h, w) and back.

    multiple   what the sides of a picture are filled up to
    largest    alphabet size of tokens, 0 for numbers around zero
    """

    kind: int
    multiple: tuple[int, int]
    largest: int
    shape: Callable[[int, int], tuple[int, int, int]]
    symbols: Callable[[np.ndarray, float], np.ndarray]
    picture: Callable[[np.ndarray, float, int, int], np.ndarray]


def _way(model: Any) -> _Way:
    if hasattr(model, "to_symbols"):
        return _by_codec(model)
    if isinstance(model, Tokenizes):
        return _by_tiles(model, _TOKENS, model.vocabulary)
    if isinstance(model, Encodes):
        return _by_tiles(model, _LATENTS, 0)
    raise NotAble(f"{model.name!r} makes no numbers of pictures; train codec, or one of fsq, vqvae, vae, latent-ae")


def _by_codec(model: Any) -> _Way:
    def symbols(picture: np.ndarray, step: float) -> np.ndarray:
        image = torch.from_numpy(from_uint8(picture[None])).to(device_of(model))
        return model.to_symbols(image)[0].cpu().numpy()

    def back(found: np.ndarray, step: float, rows: int, columns: int) -> np.ndarray:
        image = model.from_symbols(torch.from_numpy(found)[None].to(device_of(model)))
        return to_uint8(image.clamp(-1, 1).cpu().numpy())[0]

    side = model.multiple
    return _Way(_CODEC, (side, side), 0, lambda rows, columns: (model.config.numbers, rows, columns), symbols, back)


def _by_tiles(model: Any, kind: int, vocabulary: int) -> _Way:
    """A model of one size: the picture is cut into tiles of it, each by itself; where they meet, edges may show."""
    channels, height, width = model.data.shape
    inner = tuple(model.grid) if kind == _TOKENS else _as_grid(model.latent_shape)[1:]
    numbers = 1 if kind == _TOKENS else _as_grid(model.latent_shape)[0]

    def made(image: Tensor, condition: Condition) -> Tensor:
        return model.tokenize(image) if kind == _TOKENS else model.encode(image, condition)

    def drawn(code: Tensor, condition: Condition) -> Tensor:
        return model.detokenize(code) if kind == _TOKENS else model.decode(code, condition)

    def symbols(picture: np.ndarray, step: float) -> np.ndarray:
        rows, columns = picture.shape[0] // height, picture.shape[1] // width
        tiles = picture.reshape(rows, height, columns, width, channels).swapaxes(1, 2)
        image = torch.from_numpy(from_uint8(tiles.reshape(-1, height, width, channels))).to(device_of(model))
        with torch.inference_mode():
            code = per_tile(made, image, Condition()).cpu()
        whole = code if kind == _TOKENS else (code.float() / step).round().long()
        grid = whole.reshape(rows, columns, numbers, *inner).permute(2, 0, 3, 1, 4)
        return grid.reshape(numbers, rows * inner[0], columns * inner[1]).numpy()

    def back(found: np.ndarray, step: float, rows: int, columns: int) -> np.ndarray:
        grid = torch.from_numpy(found).reshape(numbers, rows, inner[0], columns, inner[1]).permute(1, 3, 0, 2, 4)
        code = grid.reshape(rows * columns, numbers, *inner)
        latent = code[:, 0] if kind == _TOKENS else (code.float() * step).reshape(-1, *model.latent_shape)
        with torch.inference_mode():
            image = per_tile(drawn, latent.to(device_of(model)), Condition()).float().cpu()
        tiles = to_uint8(image.clamp(-1, 1).numpy()).reshape(rows, columns, height, width, channels)
        return tiles.swapaxes(1, 2).reshape(rows * height, columns * width, channels)

    def shape(rows: int, columns: int) -> tuple[int, int, int]:
        return (numbers, rows * inner[0], columns * inner[1])

    return _Way(kind, (height, width), vocabulary, shape, symbols, back)


def _as_grid(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])


def _filled(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mirrored beyond its last rows and columns, until both sides are multiples."""
    missing = -picture.shape[0] % height, -picture.shape[1] % width
    return np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="symmetric")


# --- numbers to words and back ----------------------------------------------------------------------------------------


class _Tables:
    """Counts of symbols for each channel and context, kept alike by writer and reader.

    Of numbers around zero, symbol s stands for s - 12, and the last for all that are larger. Of tokens, a token is its
    own symbol and there are no contexts.
    """

    def __init__(self, channels: int, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.sizes = 1 + (32 >> np.arange(_ESCAPE_BITS))  # of escaped numbers, in bits: short ones are likelier
        if vocabulary:
            self.counts = np.ones((channels, 1, vocabulary), np.int64)
            return
        sizes = np.abs(np.arange(-_SMALL, _SMALL + 1))

        def start(context: int) -> np.ndarray:
            counts = (48 * 2.0 ** -(sizes / (0.4 + context))).astype(np.int64)
            return np.append(np.maximum(1, counts), 1)

        first = [start(context) for context in range(_CONTEXTS)]
        self.counts = np.tile(np.stack(first), (channels, 1, 1))

    def model(self, channel: int, context: int):
        from constriction import stream

        counts = self.counts[channel, context]
        return stream.model.Categorical(counts / counts.sum(), perfect=False)

    def lengths(self):
        from constriction import stream

        return stream.model.Categorical(self.sizes / self.sizes.sum(), perfect=False)

    def learn_length(self, place: int) -> None:
        self.sizes[place] += 24

    def learn(self, channel: int, context: int, symbol: int) -> None:
        counts = self.counts[channel, context]
        counts[symbol] += 24
        if counts.sum() > _LIMIT:
            counts -= counts >> 1


def _context(grid: np.ndarray, channel: int, row: int, column: int) -> int:
    """How large the numbers beside a place are that were written before it: 0 for none to 5."""
    size = 0
    if column:
        size += 2 * abs(int(grid[channel, row, column - 1]))
    if row:
        size += 2 * abs(int(grid[channel, row - 1, column]))
    if channel:
        size += abs(int(grid[channel - 1, row, column]))
    return min(_CONTEXTS - 1, size.bit_length())


def _encode(symbols: np.ndarray, vocabulary: int) -> np.ndarray:
    """(K, h, w) whole numbers -> words, uint32."""
    require("constriction", "codec")
    from constriction import stream

    tables, encoder = _Tables(len(symbols), vocabulary), stream.queue.RangeEncoder()
    for channel, row, column in np.ndindex(*symbols.shape):
        value = int(symbols[channel, row, column])
        context = 0 if vocabulary else _context(symbols, channel, row, column)
        symbol = value if vocabulary else _SMALL + value if abs(value) <= _SMALL else 2 * _SMALL + 1
        encoder.encode(symbol, tables.model(channel, context))
        tables.learn(channel, context, symbol)
        if not vocabulary and symbol > 2 * _SMALL:
            beyond = abs(value) - _SMALL  # 1 and more: its length in bits, then all but the first of them, and the sign
            length = beyond.bit_length()
            if length > _ESCAPE_BITS:
                raise ConfigError(f"the model makes a number of {value}, which no file holds; its training diverged")
            encoder.encode(length - 1, tables.lengths())
            tables.learn_length(length - 1)
            encoder.encode(2 * (beyond - (1 << (length - 1))) + (value < 0), stream.model.Uniform(1 << length))
    return np.asarray(encoder.get_compressed(), np.uint32)


def _decode(words: np.ndarray, shape: tuple[int, int, int], vocabulary: int) -> np.ndarray:
    """Words -> (K, h, w) int64. Raises BadImage for words that were not written so."""
    require("constriction", "codec")
    from constriction import stream

    tables, decoder, grid = _Tables(shape[0], vocabulary), stream.queue.RangeDecoder(words), np.zeros(shape, np.int64)
    try:
        for channel, row, column in np.ndindex(*shape):
            context = 0 if vocabulary else _context(grid, channel, row, column)
            symbol = int(decoder.decode(tables.model(channel, context)))
            tables.learn(channel, context, symbol)
            if vocabulary:
                grid[channel, row, column] = symbol
            elif symbol > 2 * _SMALL:
                length = int(decoder.decode(tables.lengths())) + 1
                tables.learn_length(length - 1)
                rest = int(decoder.decode(stream.model.Uniform(1 << length)))
                size = _SMALL + (1 << (length - 1)) + rest // 2
                grid[channel, row, column] = -size if rest % 2 else size
            else:
                grid[channel, row, column] = symbol - _SMALL
    except (AssertionError, ValueError) as error:
        raise BadImage(f"the file's numbers cannot be read: {error}") from error
    return grid


def _opened(data: bytes) -> tuple[tuple, np.ndarray]:
    """Head and words of a file. Raises BadImage where they are not whole."""
    if len(data) < _HEAD.size + 4 or data[:4] != MAGIC:
        raise BadImage("this is no file of `limner compress`, or a later kind than this Limner reads")
    body, (crc,) = data[:-4], struct.unpack("<I", data[-4:])
    head = _HEAD.unpack_from(body)
    if zlib.crc32(body) != crc or len(body) != _HEAD.size + 4 * head[-1]:
        raise BadImage("the file is damaged: its checksum does not fit")
    height, width = head[2], head[3]
    if not (height and width and height * width <= _LARGEST):
        raise BadImage(f"the file claims a picture of {height}x{width}, which is empty or too large")
    return head, np.frombuffer(body, "<u4", offset=_HEAD.size).astype(np.uint32)
