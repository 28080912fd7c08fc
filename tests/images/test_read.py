"""The door to the decoders: what is asked for comes out, and nothing hostile hangs, crashes or fills the memory."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import image_bombs
import image_encoders as make
import numpy as np
import pytest
from image_cases import CASES, draw, save, smooth
from image_memory import peak_growth

import limner
from limner.errors import BadImage, ConfigError
from limner.images.colour import composite, luma
from limner.images.read import Limits, decode, inspect, read_bytes

BOMBS = image_bombs.bombs()
RGB, RGBA = draw(0, 6, 8, 3).astype(np.uint8), draw(1, 6, 8, 4).astype(np.uint8)

NOT_IMAGES = {
    "nothing": b"",
    "one byte": b"\x89",
    "HTML": b"  <!DOCTYPE html><html><body>404 Not Found</body></html>",
    "LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
    "AppleDouble": b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ",
    "Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100),
    "PDF": b"%PDF-1.7\n",
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "Photoshop": b"8BPS\0\x01" + bytes(40),
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "XML": b"<?xml version='1.0'?><svg/>",
    "zip": b"PK\x03\x04" + bytes(40),
    "gzip": b"\x1f\x8b\x08" + bytes(40),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "icon": b"\0\0\x01\0\x01\0" + bytes(40),
    "AVIF": b"\0\0\0\x1cftypavif" + bytes(40),
    "HEIC": b"\0\0\0\x1cftypheic" + bytes(40),
    "FITS": b"SIMPLE  =                    T" + bytes(100),
    "ICNS": b"icns\0\0\0\x20" + bytes(40),
    "PPM": b"P6 1 1 255 abc",
    "TGA": b"\0\0\x02" + bytes(40),
    "DDS": b"DDS |" + bytes(200),
    "QOI": b"qoif" + bytes(40),
    "text": b"a photograph of a cat",
    "BMP in name only": b"BMW is a car",
    "program": b"\x7fELF" + bytes(60),
    "BigTIFF, big-endian": b"MM\0+\0\x08\0\0" + bytes(40),
    "wave sound": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "magic of PNG alone": b"\x89PNG\r\n\x1a\n",
    "magic of JPEG alone": b"\xff\xd8\xff",
    "magic of GIF alone": b"GIF89a",
    "magic of TIFF alone": b"II*\0",
    "magic of WebP alone": b"RIFF\0\0\0\0WEBP",
}


class TooSlow(BaseException):
    """Not an Exception, so that no handler under test can take it for a fault of the file."""


@contextmanager
def at_most(seconds):
    def ring(*_):
        raise TooSlow(f"took more than {seconds} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


# What is asked for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [RGB[..., :1], RGB, RGBA], ids=["gray", "rgb", "rgba"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_any_image_comes_with_the_channels_asked_for(pixels, channels):
    out = decode(save(pixels, "PNG"), channels=channels)
    assert out.shape == (6, 8, channels) and out.dtype == np.uint8
    assert out.flags.writeable and out.flags.c_contiguous
    if channels == pixels.shape[2]:
        np.testing.assert_array_equal(out, pixels)
    if channels == 4 and pixels.shape[2] != 4:
        assert (out[..., 3] == 255).all()


def test_alpha_is_composited_on_the_stated_colour():
    background = (10, 200, 90)
    alpha = RGBA[..., 3:] / 255
    expected = np.floor(RGBA[..., :3] * alpha + np.array(background) * (1 - alpha) + 0.5)
    np.testing.assert_allclose(decode(save(RGBA, "PNG"), channels=3, background=background), expected, atol=1)


def test_transparent_pixels_show_only_the_background():
    hidden = RGBA.copy()
    hidden[..., 3] = 0
    assert (decode(save(hidden, "PNG"), channels=3, background=(1, 2, 3)) == (1, 2, 3)).all()
    assert (decode(save(hidden, "PNG"), channels=1) == 255).all()


def test_gray_of_a_colour_image_is_its_luma():
    expected = RGB @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(decode(save(RGB, "PNG"), channels=1)[..., 0], expected, atol=1)


def test_wide_arithmetic_in_bands_equals_one_band(monkeypatch):
    tall = draw(2, 50, 7, 4).astype(np.uint8)
    whole = composite(tall), luma(tall[..., :3])
    monkeypatch.setattr("limner.images.colour.BAND_PIXELS", 20)
    np.testing.assert_array_equal(composite(tall), whole[0])
    np.testing.assert_array_equal(luma(tall[..., :3]), whole[1])


@pytest.mark.parametrize("channels", [0, 2, 5])
def test_other_channel_counts_are_the_callers_error(channels):
    with pytest.raises(ConfigError, match=f"channels={channels}"):
        decode(save(RGB, "PNG"), channels=channels)


def test_the_name_of_a_file_does_not_matter(tmp_path):
    path = tmp_path / "photo.txt"
    path.write_bytes(save(RGB, "BMP"))
    np.testing.assert_array_equal(decode(path), RGB)
    assert inspect(path).format == "BMP"


def test_reading_bytes_and_reading_a_file_agree(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(save(smooth(3), "JPEG"))
    np.testing.assert_array_equal(decode(path), decode(path.read_bytes()))


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 95, 100])
def test_jpeg_quality_is_recovered(quality):
    assert inspect(save(smooth(3), "JPEG", quality=quality)).quality == quality
    assert inspect(save(smooth(1), "JPEG", quality=quality)).quality == quality


def test_inspect_states_depth_and_orientation():
    sixteen = inspect(make.png(draw(3, 4, 5, 1, high=2**16), bits=16))
    assert (sixteen.bits, sixteen.mode, sixteen.quality) == (16, "I;16", None)
    turned = inspect(make.png(RGB, before=[make.chunk(b"eXIf", make.exif(6))]))
    assert (turned.width, turned.height, turned.orientation) == (6, 8, 6)


def test_xmp_turns_nothing():
    """Pillow applied a TIFF's XMP orientation in decoding, where the header states none."""
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    shape = {"width": 8, "height": 6, "bits": [8, 8, 8], "photometric": 2}
    data = make.tiff([RGB.tobytes()], tags={700: ("B", list(xmp))}, **shape)
    np.testing.assert_array_equal(decode(data), RGB)


def test_inspect_counts_many_frames_without_decoding_them():
    frame = make.gif_frame(draw(4, 4, 4))
    data = make.gif([frame] * 100_000, 4, 4, draw(5, 256, 3))
    with at_most(2):
        assert inspect(data).frames == 100_000
        assert decode(data).shape == (4, 4, 3)


# What is refused ------------------------------------------------------------------------------------------------------


def test_there_are_thirty_bombs():
    assert len(BOMBS) >= 30


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_quickly(name):
    start = time.process_time()
    with pytest.raises(BadImage):
        decode(BOMBS[name])
    assert time.process_time() - start < 1  # measured: the slowest takes 0.08 s
    with pytest.raises(BadImage):
        inspect(BOMBS[name])


def output_of(*arguments):
    """What a fresh Python prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_bombs_take_little_memory():
    with peak_growth() as growth:
        for bomb in BOMBS.values():
            with pytest.raises(BadImage):
                decode(bomb)
    assert growth.mebibytes < 64


def test_the_measure_of_memory_sees_what_a_decoder_takes():
    with peak_growth() as growth:
        decode(save(np.zeros((4000, 4000, 3)), "PNG"))
    assert growth.mebibytes > 45  # 48 MB of pixels


def test_limits_are_the_callers_to_set():
    data = save(smooth(3), "PNG")  # 32 x 24
    for limits in (Limits(pixels=767), Limits(side=31)):
        with pytest.raises(BadImage, match="32x24"):
            decode(data, limits=limits)
    assert decode(data, limits=Limits(pixels=768, side=32)).shape == (24, 32, 3)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadImage, match="1099511627776 bytes exceed"):
        decode(path)


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_what_is_no_image_is_refused_whatever_its_name(name, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(NOT_IMAGES[name])
    with pytest.raises(BadImage, match=re.escape(str(path))):
        decode(path)
    with pytest.raises(BadImage):
        inspect(path)


PARSERS_AFTER_DECODING = """
import pathlib, sys
from limner.errors import BadImage
from limner.images.read import decode

for path in pathlib.Path(sys.argv[1]).iterdir():
    try:
        decode(path)
    except BadImage:
        pass
print(*sorted(name for name in sys.modules if name.endswith("ImagePlugin") or name == "torch"))
"""


def test_only_the_six_accepted_parsers_are_ever_imported(tmp_path):
    for index, data in enumerate(NOT_IMAGES.values()):
        (tmp_path / f"{index}.png").write_bytes(data)
    accepted = ("Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP")
    assert output_of("-c", PARSERS_AFTER_DECODING, str(tmp_path)).split() == [
        f"PIL.{name}ImagePlugin" for name in accepted
    ]


def test_messages_say_what_the_file_is():
    with pytest.raises(BadImage, match="HTML page"):
        decode(NOT_IMAGES["HTML"])
    with pytest.raises(BadImage, match="git lfs pull"):
        decode(NOT_IMAGES["LFS pointer"])
    with pytest.raises(BadImage, match="empty file"):
        decode(b"")


@contextmanager
def odd_entry(kind, path):
    """Something at `path` that is no regular file."""
    server = socket.socket(socket.AF_UNIX)
    try:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            server.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        elif kind == "dangling link":
            path.symlink_to(path.with_name("gone"))
        elif kind == "looping link":
            path.symlink_to(path)
        elif kind == "link to a fifo":
            os.mkfifo(path.with_name("pipe"))
            path.symlink_to(path.with_name("pipe"))
        elif kind == "link to a device":
            path.symlink_to("/dev/zero")
        yield path
    finally:
        server.close()


ODD_ENTRIES = ["absent", "fifo", "socket", "folder", "dangling link", "looping link"]


@pytest.mark.parametrize("kind", [*ODD_ENTRIES, "link to a fifo", "link to a device"])
def test_only_regular_files_are_read(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with odd_entry(kind, Path("a.png")) as path, at_most(1):
        for read in (decode, inspect, read_bytes):
            with pytest.raises(BadImage, match=r"a\.png"):
                read(path)


def test_a_fifo_put_in_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    """Between the look at a path and its opening, it can be replaced."""
    path, file = tmp_path / "a.png", tmp_path / "b.png"
    os.mkfifo(path)
    file.write_bytes(b"")
    status = file.stat()
    monkeypatch.setattr(os, "stat", lambda path: status)
    with at_most(1), pytest.raises(BadImage, match="not a regular file"):
        decode(path)


def test_refused_entries_leave_no_file_open(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"?")
    before = len(os.listdir("/proc/self/fd"))
    for path in [tmp_path, tmp_path / "absent.png", tmp_path / "bad.png"] * 20:
        with pytest.raises(BadImage):
            decode(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_name_with_a_nul_is_a_bad_image():
    with pytest.raises(BadImage):
        decode(Path("a\0b.png"))


def test_a_file_cut_short_is_refused_or_whole():
    """Never a picture whose lower part is gray: with the end of a TIFF gone, Pillow guessed depth and colours anew."""
    for name, case in CASES.items():
        whole, size = decode(case.data), len(case.data)
        for cut in {size * part // 20 for part in range(1, 20)} | {size - 1, size - 4, size - 12}:
            try:
                np.testing.assert_array_equal(decode(case.data[:cut]), whole, err_msg=f"{name} cut at {cut}")
            except BadImage:
                continue


# Warnings and threads -------------------------------------------------------------------------------------------------

REMARKABLE = make.png(RGB, before=[make.chunk(b"acTL", bytes(8))])  # Pillow warns: an animation of no frames


def test_pillows_remarks_are_silent_and_the_callers_filters_stay():
    """warnings.catch_warnings in each thread restored the wrong filters when two decoders overlapped."""
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(decode, [REMARKABLE] * 400))
    assert all(np.array_equal(picture, RGB) for picture in pictures)
    assert warnings.filters == before


def test_nothing_else_opens_images():
    package = Path(limner.__path__[0])
    opens = [str(path) for path in package.rglob("*.py") if "Image.open(" in path.read_text(encoding="utf-8")]
    assert opens == []
