"""A picture carries its settings, byte for byte the same each time, and nothing that was not passed in."""

import json
import struct
import zlib

import image_encoders as make
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_cases import after_start, draw, save, segment, smooth

from limner.errors import BadImage, ConfigError
from limner.images.metadata import encode_png, parameters_line, picture_text, read_record
from limner.images.read import Limits, decode, read_text

IMAGE = draw(0, 5, 6, 3).astype(np.uint8)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)


def chunk_types(png):
    kinds, position = [], 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        kinds.append(kind.decode())
        position += 12 + length
    return kinds


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pixels_come_back(channels):
    image = draw(channels, 5, 6, channels).astype(np.uint8)
    np.testing.assert_array_equal(decode(encode_png(image)), image)


@settings(max_examples=100, deadline=None)
@given(TEXTS, TEXTS)
def test_text_comes_back(first, second):
    text = {"parameters": first, "limner": second}
    assert read_text(encode_png(IMAGE, text)) == text


def test_the_same_picture_gives_the_same_bytes():
    text = {"parameters": "Steps: 20", "limner": '{"seed": 7}'}
    assert encode_png(IMAGE, text) == encode_png(IMAGE.copy(), dict(text))


def test_latin_text_is_plain_and_other_text_is_international():
    assert "tEXt" in chunk_types(encode_png(IMAGE, {"parameters": "déjà vu"}))
    assert "iTXt" in chunk_types(encode_png(IMAGE, {"parameters": "猫"}))
    assert "iTXt" in chunk_types(encode_png(IMAGE, {"limner": "{}"}))


def test_nothing_of_an_input_reaches_an_output():
    place = b"Exif\0\0" + make.exif(6) + b"GPS 48.2082 N 16.3738 E"
    photo = after_start(save(smooth(3), "JPEG"), segment(0xE1, place), segment(0xFE, b"secret comment"))
    out = encode_png(decode(photo))
    assert chunk_types(out) == ["IHDR", "IDAT", "IEND"]
    assert b"GPS" not in out and b"secret" not in out


def test_the_line_has_the_form_that_other_tools_read():
    line = parameters_line({"Steps": 20, "Size": "64x64", "Model": "a, b: c"}, prompt="a cat", negative_prompt="a dog")
    assert line == 'a cat\nNegative prompt: a dog\nSteps: 20, Size: 64x64, Model: "a, b: c"'
    assert parameters_line({"Steps": 20}) == "Steps: 20"


@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9 ]{1,9}", fullmatch=True), TEXTS.filter(bool), min_size=1))
def test_quoted_values_can_be_taken_apart_again(values):
    line = parameters_line(values)
    assert "\n" not in line and "\r" not in line
    decoder, found, position = json.JSONDecoder(), {}, 0
    while position < len(line):
        key, position = line[position : line.index(": ", position)], line.index(": ", position) + 2
        if line[position] == '"':
            found[key], position = decoder.raw_decode(line, position)
        else:
            end = line.find(", ", position)
            end = len(line) if end < 0 else end
            found[key], position = line[position:end], end
        position += 2
    assert found == values


def test_the_record_comes_back():
    record = {"seed": 7, "model": "vae", "nested": {"a": [1, 2.5, None]}}
    png = encode_png(IMAGE, picture_text({"Seed": 7}, record, prompt="a cat"))
    assert read_record(png) == record
    assert read_text(png)["parameters"] == "a cat\nSeed: 7"
    assert read_record(encode_png(IMAGE)) is None
    assert read_record(save(IMAGE, "JPEG")) is None


@pytest.mark.parametrize("text", ["{", "[1]", "7", "[" * 100_000])
def test_a_record_that_is_no_object_is_a_bad_image(text):
    with pytest.raises(BadImage, match="limner"):
        read_record(encode_png(IMAGE, {"limner": text}))


def test_too_much_text_is_refused():
    png = encode_png(IMAGE, {"parameters": "x" * 500, "limner": "y" * 600})
    assert len(read_text(png, limits=Limits(text_bytes=1100))) == 2
    with pytest.raises(BadImage, match="1000 bytes"):
        read_text(png, limits=Limits(text_bytes=1000))
    bomb = make.png(IMAGE, before=[make.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(9_000_000)))])
    with pytest.raises(BadImage):
        read_text(bomb)


@pytest.mark.parametrize("keyword", ["", " a", "a  b", "x" * 80, "猫", "a\nb"])
def test_keywords_follow_the_rules_of_png(keyword):
    with pytest.raises(ConfigError, match="keyword"):
        encode_png(IMAGE, {keyword: "value"})


def test_what_png_cannot_hold_is_an_error():
    with pytest.raises(ConfigError, match="NUL"):
        encode_png(IMAGE, {"parameters": "a\0b"})
    with pytest.raises(ConfigError, match="no PNG"):
        encode_png(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(ConfigError, match="name of a setting"):
        parameters_line({"a:b": 1})
    with pytest.raises(ValueError, match="JSON"):
        picture_text({}, {"loss": float("nan")})
