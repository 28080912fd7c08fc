"""Odd but legal images with the pixels that they must give: `CASES` maps a name to (bytes, expected, tolerance)."""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple

import image_encoders as make
import numpy as np
from PIL import Image

CASES: dict[str, Case] = {}
H, W = 9, 13


class Case(NamedTuple):
    data: bytes
    expected: np.ndarray  # (H, W, 1 | 3 | 4) uint8
    tolerance: int  # greatest difference allowed, in levels


def add(name: str, data: bytes, expected: np.ndarray, tolerance: int = 0) -> None:
    assert name not in CASES, name
    expected = expected if expected.ndim == 3 else expected[..., None]
    CASES[name] = Case(data, expected.astype(np.uint8), tolerance)


def draw(seed: int, *shape: int, high: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape)


def smooth(channels: int, height: int = 24, width: int = 32) -> np.ndarray:
    """(H, W, C) a picture that lossy codecs keep within a few levels."""
    y, x = np.mgrid[0 : 1 : 1j * height, 0 : 1 : 1j * width]
    waves = [127 + 100 * np.sin(2 * x + 3 * y + phase / 3) for phase in range(channels)]
    return np.stack(waves, axis=2).round().astype(np.uint8)


def save(pixels: np.ndarray, format: str, mode: str | None = None, **options: object) -> bytes:
    """(H, W, 1 | 3 | 4) written by Pillow, for the codecs that are too long to write here."""
    height, width, channels = pixels.shape
    mode = mode or {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    file = io.BytesIO()
    Image.frombytes(mode, (width, height), pixels.astype(np.uint8).tobytes()).save(file, format, **options)
    return file.getvalue()


def scaled(samples: np.ndarray, bits: int) -> np.ndarray:
    return np.floor(samples * 255 / (2**bits - 1) + 0.5)


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The picture that EXIF's table means by the stored pixels."""
    turns = {
        1: lambda p: p,
        2: np.fliplr,
        3: lambda p: np.rot90(p, 2),
        4: np.flipud,
        5: lambda p: np.transpose(p, (1, 0, 2)),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: np.rot90(np.fliplr(p), -1),
        8: lambda p: np.rot90(p, 1),
    }
    return turns[orientation](pixels)


def with_alpha(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    rgb = np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else rgb
    return np.dstack([rgb, alpha])


def add_png_depths() -> None:
    for bits in (1, 2, 4, 8, 16):
        gray = draw(bits, H, W, 1, high=2**bits)
        key = int(gray[2, 3, 0])
        trns = make.chunk(b"tRNS", struct.pack(">H", key))
        alpha = np.where(gray[..., 0] == key, 0, 255)
        add(f"png gray {bits}", make.png(gray, bits=bits), scaled(gray, bits))
        add(f"png gray {bits} interlaced", make.png(gray, bits=bits, interlaced=True), scaled(gray, bits))
        add(f"png gray {bits} tRNS", make.png(gray, bits=bits, before=[trns]), with_alpha(scaled(gray, bits), alpha))
    for bits in (8, 16):
        rgb = draw(20 + bits, H, W, 3, high=2**bits)
        high = rgb >> (bits - 8)
        trns = make.chunk(b"tRNS", struct.pack(">HHH", *rgb[4, 5]))
        keyed = with_alpha(high, np.where((rgb == rgb[4, 5]).all(axis=2), 0, 255))
        add(f"png rgb {bits}", make.png(rgb, bits=bits), high)
        add(f"png rgb {bits} interlaced", make.png(rgb, bits=bits, interlaced=True), high)
        add(f"png rgb {bits} tRNS", make.png(rgb, bits=bits, before=[trns]), keyed)
        gray_alpha, rgba = draw(30 + bits, H, W, 2, high=2**bits), draw(40 + bits, H, W, 4, high=2**bits)
        folded = gray_alpha >> (bits - 8)
        add(f"png gray+alpha {bits}", make.png(gray_alpha, bits=bits), with_alpha(folded[..., :1], folded[..., 1]))
        add(f"png rgba {bits}", make.png(rgba, bits=bits), rgba >> (bits - 8))
        add(f"png rgba {bits} interlaced", make.png(rgba, bits=bits, interlaced=True), rgba >> (bits - 8))


def add_png_palettes() -> None:
    for bits in (1, 2, 4, 8):
        colours, indices = draw(50 + bits, 2**bits, 3), draw(60 + bits, H, W, 1, high=2**bits)
        plte = make.chunk(b"PLTE", bytes(colours.astype(np.uint8).tobytes()))
        alpha = np.full(2**bits, 255)
        alpha[: 2**bits // 2] = draw(70 + bits, 2**bits // 2)
        options = {"bits": bits, "colour": 3}
        rgb = colours[indices[..., 0]]
        add(f"png palette {bits}", make.png(indices, before=[plte], **options), rgb)
        add(f"png palette {bits} interlaced", make.png(indices, before=[plte], interlaced=True, **options), rgb)
        trns = make.chunk(b"tRNS", bytes(alpha[: 2**bits // 2].astype(np.uint8)))  # the rest is opaque
        data = make.png(indices, before=[plte, trns], **options)
        add(f"png palette {bits} tRNS", data, with_alpha(rgb, alpha[indices[..., 0]]))
        one = make.chunk(b"tRNS", b"\xff" * (2**bits - 1) + b"\0")
        last = np.where(indices[..., 0] == 2**bits - 1, 0, 255)
        add(f"png palette {bits} last clear", make.png(indices, before=[plte, one], **options), with_alpha(rgb, last))


def add_png_structure() -> None:
    rgb = draw(80, H, W, 3)
    for kind in range(5):
        add(f"png filter {kind}", make.png(rgb, filter_type=kind), rgb)
    for orientation in range(1, 9):
        before = [make.chunk(b"eXIf", make.exif(orientation, "<>"[orientation % 2]))]
        add(f"png orientation {orientation}", make.png(rgb, before=before), upright(rgb, orientation))
    text = b"Comment\0\0" + zlib.compress(b"hello" * 100)
    animation = [make.chunk(b"acTL", struct.pack(">II", 2, 0)), make.chunk(b"fcTL", _frame_control(0))]
    second = zlib.compress(b"".join(b"\0" + bytes(3 * W) for _ in range(H)))
    frames = [make.chunk(b"fcTL", _frame_control(1)), make.chunk(b"fdAT", struct.pack(">I", 2) + second)]
    add("png animated", make.png(rgb, before=animation, after=frames), rgb)
    add("png profile ignored", make.png(rgb, before=[make.chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 200))]), rgb)
    add("png gamma ignored", make.png(rgb, before=[make.chunk(b"gAMA", struct.pack(">I", 100_000))]), rgb)
    add("png text", make.png(rgb, before=[make.chunk(b"zTXt", text)], after=[make.chunk(b"tEXt", b"a\0b")]), rgb)
    add("png unknown chunk", make.png(rgb, before=[make.chunk(b"abCd", b"?" * 99)]), rgb)
    add("png many IDAT", make.png(rgb, pieces=30), rgb)
    add("png trailing bytes", make.png(rgb) + b"\0" * 50, rgb)
    add("png bad EXIF", make.png(rgb, before=[make.chunk(b"eXIf", b"II*\0\xff\xff\xff\xff")]), rgb)
    for height, width in ((1, 1), (1, 300), (300, 1)):
        thin = draw(height + width, height, width, 3)
        add(f"png {height}x{width}", make.png(thin), thin)
        add(f"png {height}x{width} interlaced", make.png(thin, interlaced=True), thin)


def _frame_control(number: int) -> bytes:
    return struct.pack(">IIIIIHHBB", number, W, H, 0, 0, 1, 10, 0, 0)


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data


def after_start(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def add_jpeg() -> None:
    gray, rgb = smooth(1), smooth(3)
    best = {"quality": 100, "subsampling": 0}
    whole = save(rgb, "JPEG", **best)
    for name, options in {
        "4:4:4": best,
        "4:2:2": {"quality": 100, "subsampling": 1},
        "4:2:0": {"quality": 100, "subsampling": 2},
        "progressive": {**best, "progressive": True},
        "optimized": {**best, "optimize": True},
        "restarts": {**best, "restart_marker_blocks": 2},
        "stored as rgb": {**best, "keep_rgb": True},
    }.items():
        add(f"jpeg {name}", save(rgb, "JPEG", **options), rgb, 4)
    add("jpeg gray", save(gray, "JPEG", quality=100), gray, 2)
    add("jpeg gray progressive", save(gray, "JPEG", quality=100, progressive=True), gray, 2)
    add("jpeg 1x1", save(rgb[:1, :1], "JPEG", **best), rgb[:1, :1], 4)
    add("jpeg 17x1", save(rgb[:17, :1], "JPEG", **best), rgb[:17, :1], 4)
    add("jpeg padding", after_start(whole, b"\xff" * 40), rgb, 4)
    add("jpeg comment", after_start(whole, segment(0xFE, b"hello")), rgb, 4)
    add("jpeg profile ignored", after_start(whole, segment(0xE2, b"ICC_PROFILE\0\x01\x01" + b"x" * 300)), rgb, 4)
    add("jpeg trailing bytes", whole + b"\0" * 50, rgb, 4)
    add("jpeg bad EXIF", after_start(whole, segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")), rgb, 4)
    for orientation in range(1, 9):
        for order, name in (("<", "little"), (">", "big")):
            data = after_start(whole, segment(0xE1, b"Exif\0\0" + make.exif(orientation, order)))
            add(f"jpeg orientation {orientation} {name}", data, upright(rgb, orientation), 4)
    add_jpeg_inks(best)


def add_jpeg_inks(best: dict[str, object]) -> None:
    inks = smooth(4) // 2
    stored = save(inks, "JPEG", mode="CMYK", **best)  # with Adobe's marker, so inverted
    at = stored.index(b"Adobe")
    add("jpeg CMYK", stored, ink_to_rgb(inks), 4)
    bare = stored[: at - 4] + stored[at + 12 :]
    add("jpeg CMYK without Adobe", bare, ink_to_rgb(255 - inks), 4)
    ycck = stored[: at + 11] + b"\x02" + stored[at + 12 :]  # the same samples, now meant as YCCK
    y, cb, cr, black = (255.0 - inks[..., index] for index in range(4))
    red, green = y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    meant = 255 - np.stack([red, green, y + 1.772 * (cb - 128)], axis=2).clip(0, 255)  # YCC codes 255 - ink
    add("jpeg YCCK", ycck, ink_to_rgb(255 - np.dstack([meant, black])), 5)


def ink_to_rgb(inks: np.ndarray) -> np.ndarray:
    light = 255 - inks.astype(float)
    return np.floor(light[..., :3] * light[..., 3:] / 255 + 0.5)


def add_webp() -> None:
    rgb, rgba = draw(90, H, W, 3), draw(91, H, W, 4)
    exact = {"lossless": True, "exact": True}
    add("webp lossless", save(rgb, "WEBP", **exact), rgb)
    add("webp lossless alpha", save(rgba, "WEBP", **exact), rgba)
    add("webp lossy", save(smooth(3), "WEBP", quality=100), smooth(3), 6)
    add("webp 1x1", save(rgb[:1, :1], "WEBP", **exact), rgb[:1, :1])
    add("webp profile ignored", save(rgb, "WEBP", icc_profile=b"x" * 99, **exact), rgb)
    second = Image.fromarray((255 - rgb).astype(np.uint8))
    add("webp animated", save(rgb, "WEBP", save_all=True, append_images=[second], **exact), rgb)
    for orientation in range(1, 9):
        data = save(rgb, "WEBP", exif=b"Exif\0\0" + make.exif(orientation), **exact)
        add(f"webp orientation {orientation}", data, upright(rgb, orientation))


def add_bmp() -> None:
    for bits in (1, 4, 8):
        colours, indices = draw(100 + bits, 2**bits, 3), draw(110 + bits, H, W, high=2**bits)
        rows = make.bmp_rows(indices, bits)
        add(f"bmp palette {bits}", make.bmp(rows, W, H, bits, palette=colours), colours[indices])
        add(f"bmp OS/2 palette {bits}", make.bmp(rows, W, H, bits, palette=colours, header=12), colours[indices])
    ramp, gray = np.repeat(np.arange(256)[:, None], 3, axis=1), draw(120, H, W)
    add("bmp gray", make.bmp(make.bmp_rows(gray, 8), W, H, 8, palette=ramp), gray)
    rgb = draw(121, H, W, 3)
    rows = make.bmp_rows(rgb[..., ::-1].reshape(H, -1), 8)
    add("bmp 24", make.bmp(rows, W, H, 24), rgb)
    flipped = make.bmp_rows(rgb[::-1, :, ::-1].reshape(H, -1), 8)
    add("bmp 24 top-down", make.bmp(flipped, W, -H, 24), rgb)
    four = np.dstack([rgb[..., ::-1], draw(122, H, W)])
    rows = make.bmp_rows(four.reshape(H, -1), 8)
    add("bmp 32", make.bmp(rows, W, H, 32), rgb)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    data = make.bmp(rows, W, H, 32, compression=3, masks=masks, header=108)
    add("bmp 32 alpha", data, np.dstack([rgb, four[..., 3]]))
    add_bmp_packed(rgb)
    colours, runs = draw(123, 256, 3), np.repeat(draw(124, H, 3), 4, axis=1)
    rle8 = b"".join(b"".join(bytes([4, int(v)]) for v in row[::4]) + b"\0\0" for row in runs[::-1]) + b"\0\1"
    add("bmp RLE8", make.bmp(rle8, 12, H, 8, palette=colours, compression=1), colours[runs])
    pairs = draw(125, H, 3, high=256)
    rle4 = b"".join(b"".join(bytes([4, int(v)]) for v in row) + b"\0\0" for row in pairs[::-1]) + b"\0\1"
    nibbles = np.stack([pairs >> 4, pairs & 15, pairs >> 4, pairs & 15], axis=2).reshape(H, 12)
    add("bmp RLE4", make.bmp(rle4, 12, H, 4, palette=colours[:16], compression=2), colours[nibbles])


def add_bmp_packed(rgb: np.ndarray) -> None:
    """16-bit pixels; five bits v become v * 255 / 31, rounded down."""
    red, green, blue = (rgb[..., index] for index in range(3))
    low = np.dstack([red >> 3, green >> 3, blue >> 3])
    rows = make.bmp_rows((low[..., 0] << 10) | (low[..., 1] << 5) | low[..., 2], 16)
    add("bmp 16", make.bmp(rows, W, H, 16), low * 255 // 31)
    rows = make.bmp_rows((low[..., 0] << 11) | (green >> 2 << 5) | low[..., 2], 16)
    data = make.bmp(rows, W, H, 16, compression=3, masks=(0xF800, 0x7E0, 0x1F))
    add("bmp 16 565", data, np.dstack([low[..., 0] * 255 // 31, (green >> 2) * 255 // 63, low[..., 2] * 255 // 31]))


def add_gif() -> None:
    colours, other, indices = draw(130, 256, 3), draw(131, 256, 3), draw(132, H, W)
    rgb = colours[indices]
    plain = make.gif_frame(indices)
    clear = with_alpha(rgb, np.where(indices == indices[3, 4], 0, 255))
    add("gif", make.gif([plain], W, H, colours), rgb)
    add("gif 87a", make.gif([plain], W, H, colours, version=b"GIF87a"), rgb)
    add("gif interlaced", make.gif([make.gif_frame(indices, interlaced=True)], W, H, colours), rgb)
    add("gif local palette", make.gif([make.gif_frame(indices, palette=other)], W, H, colours), other[indices])
    add("gif only local palette", make.gif([make.gif_frame(indices, palette=other)], W, H, None), other[indices])
    add("gif transparent", make.gif([make.gif_control(int(indices[3, 4])), plain], W, H, colours), clear)
    add("gif animated", make.gif([plain, make.gif_frame(255 - indices)], W, H, colours), rgb)
    comment = b"!\xfe" + make.sub_blocks(b"hello " * 90)
    add("gif comment", make.gif([comment, plain], W, H, colours), rgb)
    add("gif 1x1", make.gif([make.gif_frame(indices[:1, :1])], 1, 1, colours), rgb[:1, :1])
    around = np.zeros((H, W), int)
    around[1:5, 2:6] = indices[:4, :4]
    add("gif small frame", make.gif([make.gif_frame(indices[:4, :4], left=2, top=1)], W, H, colours), colours[around])
    ramp = np.repeat(np.arange(256)[:, None], 3, axis=1)
    add("gif gray", make.gif([plain], W, H, ramp), indices)


def one_strip(samples: np.ndarray, bits: int, photometric: int, order: str = "<", **options: object) -> bytes:
    """(H, W, C) samples as an uncompressed TIFF of one strip."""
    height, width, channels = samples.shape
    strip = make.pack_bits(samples.reshape(height, -1), bits, order)
    depth = options.pop("depth", [bits] * channels)
    return make.tiff([strip], width=width, height=height, bits=depth, photometric=photometric, order=order, **options)


def add_tiff_gray() -> None:
    for order, name in (("<", "II"), (">", "MM")):
        for bits in (1, 2, 4, 8, 16):
            gray = draw(140 + bits, H, W, 1, high=2**bits)
            add(f"tiff gray {bits} {name}", one_strip(gray, bits, 1, order), scaled(gray, bits))
            if (bits, name) != (16, "MM"):  # Pillow has no reader for this one
                add(f"tiff gray {bits} {name} white is zero", one_strip(gray, bits, 0, order), 255 - scaled(gray, bits))
        signed = draw(150, H, W, 1, high=2**16) - 2**15
        for bits, values in ((16, signed), (32, signed * 65_000)):
            data = one_strip(values % 2**bits, bits, 1, order, tags={339: ("H", [2])})
            add(f"tiff signed {bits} {name}", data, stretch(values))
        for kind, values in floats().items():
            bits = values.astype(f"{order}f4").view(f"{order}u4")
            data = one_strip(bits, 32, 1, order, tags={339: ("H", [3])})
            add(f"tiff float {kind} {name}", data, float_to_8_bits(values))
    wide = draw(151, H, W, 1, high=2**32)
    add("tiff unsigned 32", one_strip(wide, 32, 1), stretch(wide))
    twelve = draw(152, H, W + 1, 1, high=2**12)
    add("tiff gray 12", one_strip(twelve, 12, 1), scaled(twelve, 12))


def floats() -> dict[str, np.ndarray]:
    unit = np.random.default_rng(153).random((H, W, 1), dtype=np.float32)
    holed = unit.copy()
    holed[0, 0], holed[1, 1], holed[2, 2] = np.nan, np.inf, -np.inf
    return {"0..1": unit, "any": unit * 700 - 100, "flat": np.full_like(unit, 300), "holed": holed, "black": unit * 0}


def float_to_8_bits(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    with np.errstate(invalid="ignore"):
        if finite.min() < 0 or finite.max() > 1:
            return stretch(values)
        values = np.where(np.isnan(values), 0, values)
        return np.floor(values.clip(0, 1).astype(np.float64) * 255 + 0.5)


def stretch(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    span = values.max() - values.min()
    return np.floor((values - values.min()) / (span or 1) * 255 + 0.5)


def add_tiff_colour() -> None:
    for order, name in (("<", "II"), (">", "MM")):
        for bits in (8, 16):
            rgb, rgba = draw(160 + bits, H, W, 3, high=2**bits), draw(170 + bits, H, W, 4, high=2**bits)
            shift = bits - 8
            add(f"tiff rgb {bits} {name}", one_strip(rgb, bits, 2, order), rgb >> shift)
            straight = one_strip(rgba, bits, 2, order, tags={338: ("H", [2])})
            add(f"tiff rgba {bits} {name}", straight, rgba >> shift)
            unused = one_strip(rgba, bits, 2, order, tags={338: ("H", [0])})
            add(f"tiff rgbx {bits} {name}", unused, rgba[..., :3] >> shift)
    colours, indices = draw(180, 256, 3), draw(181, H, W, 1)
    table = {320: ("H", (colours.T.ravel() * 257).tolist())}
    add("tiff palette", one_strip(indices, 8, 3, tags=table), colours[indices[..., 0]])
    inks = draw(182, H, W, 4)
    add("tiff CMYK", one_strip(inks, 8, 5), ink_to_rgb(inks), 1)
    gray_alpha = draw(183, H, W, 2)
    data = one_strip(gray_alpha, 8, 1, tags={338: ("H", [2])})
    add("tiff gray+alpha", data, with_alpha(gray_alpha[..., :1], gray_alpha[..., 1]))
    alpha = draw(184, H, W, 1)
    hidden = np.dstack([draw(185, H, W, 3) * alpha // 255, alpha])
    shown = (255 * hidden[..., :3] // np.maximum(alpha, 1)).clip(0, 255)
    shown = np.where(alpha == 0, hidden[..., :3], shown)
    add("tiff premultiplied", one_strip(hidden, 8, 2, tags={338: ("H", [1])}), np.dstack([shown, alpha]))
    lab = np.dstack([draw(186, H, W), np.zeros((H, W, 2), int)])  # a = b = 0 is gray
    lightness = lab[..., :1] * 100 / 255
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    srgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    add("tiff Lab", one_strip(lab, 8, 8), np.repeat((srgb * 255).round(), 3, axis=2), 2)


def add_tiff_structure() -> None:
    rgb = draw(190, 32, 48, 3)
    shape = {"width": 48, "height": 32, "bits": [8, 8, 8], "photometric": 2}
    strips = [rgb[at : at + 5].astype(np.uint8).tobytes() for at in range(0, 32, 5)]
    add("tiff strips", make.tiff(strips, rows_per_strip=5, **shape), rgb)
    tiles = [rgb[y : y + 16, x : x + 16].astype(np.uint8).tobytes() for y in (0, 16) for x in (0, 16, 32)]
    add("tiff tiles", make.tiff(tiles, tile=(16, 16), **shape), rgb)
    planes = [rgb[..., index].astype(np.uint8).tobytes() for index in range(3)]
    add("tiff planes", make.tiff(planes, tags={284: ("H", [2])}, **shape), rgb)
    add("tiff BigTIFF", make.tiff([rgb.astype(np.uint8).tobytes()], big=True, **shape), rgb)
    for orientation in range(1, 9):
        data = one_strip(rgb, 8, 2, tags={274: ("H", [orientation])})
        add(f"tiff orientation {orientation}", data, upright(rgb, orientation))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma"):
        add(f"tiff {compression}", save(rgb, "TIFF", compression=compression), rgb)
        sixteen = draw(191, 32, 48, high=2**16)
        file = io.BytesIO()
        Image.fromarray(sixteen.astype(np.uint16)).save(file, "TIFF", compression=compression)
        add(f"tiff 16 {compression}", file.getvalue(), scaled(sixteen, 16))
    add("tiff jpeg", save(smooth(3), "TIFF", compression="jpeg", quality=100), smooth(3), 5)
    second = Image.fromarray((255 - rgb).astype(np.uint8))
    add("tiff pages", save(rgb, "TIFF", save_all=True, append_images=[second]), rgb)
    dots = draw(192, 32, 48, high=2)
    file = io.BytesIO()
    Image.fromarray(dots.astype(bool)).save(file, "TIFF", compression="group4")
    add("tiff group4", file.getvalue(), dots * 255)
    turned = one_strip(rgb, 8, 2, tags={274: ("H", [6])})
    add("tiff orientation after pages", turned + bytes(20), upright(rgb, 6))


for build in (
    *(add_png_depths, add_png_palettes, add_png_structure, add_jpeg, add_webp, add_bmp, add_gif),
    *(add_tiff_gray, add_tiff_colour, add_tiff_structure),
):
    build()
