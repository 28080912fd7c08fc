"""Pictures as files of a few whole numbers, with models that make such numbers of them.

    magic "LIM1" · sha256 of the model (16 bytes) · height, width (4 bytes each) · channels, kind (1 byte each)
    · step (4 bytes, of latents) · number of words (4 bytes) · words of the range coder · CRC-32 of all of it

What a number may be is learned while it is written: counts for each channel and, except of tokens, for how large the
numbers before it are, which the reader keeps in the same way. Nothing but whole numbers decides it, so both agree on
every machine. The words must be exactly those that writing the numbers again gives: none too few, none too many.
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
_STEPS = (0.001, 1000.0)  # finest and coarsest, between whole numbers of latents
_LARGEST = 1 << 27  # pixels of a picture in a file
_CODEC, _TOKENS, _LATENTS = range(3)
_SMALL = 12  # numbers of this size and less have a symbol of their own; larger ones are escaped
_CONTEXTS = 6
_LIMIT = 1 << 16  # of a table's counts, which are then halved: so it forgets what lies far back
_ESCAPE_BITS = 24
_AGAIN = "it is damaged or forged: get it again, or write it again with `limner compress`"
_TOTAL = 1 << 24  # of the weights of an alphabet: the coder's own precision
_DECAY = (45, 156, 192, 209, 219, 225)  # in 256ths, for each context: how much rarer a number is than one smaller by 1


class Compressed(NamedTuple):
    """A file, and what it says.

    bits   of the file, a pixel
    """

    data: bytes
    bits: float


def compress(model: Model, sha256: str, picture: np.ndarray, *, step: float = 1.0) -> Compressed:
    """(H, W, C) uint8 of any size -> a file. Transparency is laid on white; channels become the model's.

    sha256   of the model, in hex: only it can read the file
    step     between whole numbers of latents, in deviations, from .001, fine, to 1000, coarse; codecs have their own
    Raises NotAble for a model that makes no numbers of pictures, ConfigError for a picture that is empty or too large.
    """
    if not _STEPS[0] <= step <= _STEPS[1]:
        raise ConfigError(f"step={step:g} is not from {_STEPS[0]:g} to {_STEPS[1]:g} deviations")
    if not 0 < picture.shape[0] * picture.shape[1] <= _LARGEST:
        size = f"{picture.shape[0]}x{picture.shape[1]}"
        raise ConfigError(f"a picture of {size} is empty or has more than {_LARGEST:,} pixels; cut it into parts")
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
        lengths = np.arange(_ESCAPE_BITS, dtype=np.int64)
        self.sizes = 1 + (32 >> lengths)  # of escaped numbers, in bits: short ones are likelier
        self.limit = _limit(_symbols(vocabulary))
        if vocabulary:
            self.counts = np.ones((channels, 1, vocabulary), np.int64)
            return
        sizes = [abs(number) for number in range(-_SMALL, _SMALL + 1)]
        first = [[max(1, 48 * decay**size >> 8 * size) for size in sizes] + [1] for decay in _DECAY]
        self.counts = np.tile(np.array(first, np.int64), (channels, 1, 1))

    def model(self, channel: int, context: int) -> Any:
        return _categorical(_shares(self.counts[channel, context]))

    def lengths(self) -> Any:
        return _categorical(_shares(self.sizes))

    def learn_length(self, place: int) -> None:
        self.sizes[place] += 24
        if self.sizes.sum() > self.limit:
            self.sizes -= self.sizes >> 1

    def learn(self, channel: int, context: int, symbol: int) -> None:
        counts = self.counts[channel, context]
        counts[symbol] += 24
        if counts.sum() > self.limit:
            counts -= counts >> 1


def _symbols(vocabulary: int) -> int:
    return vocabulary or 2 * _SMALL + 2


def _limit(symbols: int) -> int:
    return max(_LIMIT, 16 * symbols)


def _shares(counts: np.ndarray) -> np.ndarray:
    """Counts, 1 and more -> in proportion to them, int64, what is left of _TOTAL when each symbol has 1 of it."""
    left = _TOTAL - len(counts)
    shares = counts * left // counts.sum()
    shares[0] += left - shares.sum()
    return shares


def _categorical(shares: np.ndarray) -> Any:
    """The coder's model in which a symbol has 1 + its share of _TOTAL.

    It gives each symbol 1 and deals out what is left in proportion to floats. The shares are whole numbers that add up
    to just that, so its factor is 1 and every sum is exact: nothing is rounded, in whatever order it adds.
    """
    from constriction import stream

    return stream.model.Categorical(shares.astype(np.float64), perfect=False)


def _most(words: int, vocabulary: int) -> int:
    """The most numbers that so many words of 32 bits can hold: each costs at least what the likeliest symbol can."""
    symbols = _symbols(vocabulary)
    others = (symbols - 1) * (1 + (_TOTAL - symbols) // _limit(symbols))
    return int(32 * words / -math.log2(1 - others / _TOTAL))


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
    """Words -> (K, h, w) int64. Raises BadImage for words that were not written so, before more is made of them."""
    require("constriction", "codec")
    from constriction import stream

    claimed, most = math.prod(shape), _most(len(words), vocabulary)
    if claimed > most:
        raise BadImage(f"the file claims {claimed:,} numbers, but {len(words)} words hold at most {most:,}; {_AGAIN}")
    tables, reader, grid = _Tables(shape[0], vocabulary), _Reader(words), np.zeros(shape, np.int64)
    try:
        for channel, row, column in np.ndindex(*shape):
            context = 0 if vocabulary else _context(grid, channel, row, column)
            symbol = reader.read(tables.model(channel, context))
            tables.learn(channel, context, symbol)
            if vocabulary:
                grid[channel, row, column] = symbol
            elif symbol > 2 * _SMALL:
                length = reader.read(tables.lengths()) + 1
                tables.learn_length(length - 1)
                rest = reader.read(stream.model.Uniform(1 << length))
                size = _SMALL + (1 << (length - 1)) + rest // 2
                grid[channel, row, column] = -size if rest % 2 else size
            else:
                grid[channel, row, column] = symbol - _SMALL
    except (AssertionError, ValueError) as error:
        raise BadImage(f"the file's numbers cannot be read: {error}; {_AGAIN}") from error
    reader.finish()
    return grid


class _Reader:
    """A range decoder that writes again what it reads: it invents zeros behind the last word and would not tell."""

    def __init__(self, words: np.ndarray) -> None:
        from constriction import stream

        self.words = words
        self.decoder, self.again = stream.queue.RangeDecoder(words), stream.queue.RangeEncoder()

    def read(self, model: Any) -> int:
        """The next symbol. Raises BadImage where the words have ended long before."""
        symbol = int(self.decoder.decode(model))
        self.again.encode(symbol, model)
        if self.again.num_words() > len(self.words) + 2:  # 2: the coder's state, which may need fewer in the end
            raise BadImage(f"the file's numbers need more than its {len(self.words):,} words; {_AGAIN}")
        return symbol

    def finish(self) -> None:
        """Raises BadImage unless the words are those of the symbols that were read, to the last."""
        again = np.asarray(self.again.get_compressed(), np.uint32)
        if not np.array_equal(again, self.words):
            counts = f"has {len(self.words):,} words, its numbers are written as {len(again):,}"
            raise BadImage(f"the file {counts}, and the two are not the same; {_AGAIN}")


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
