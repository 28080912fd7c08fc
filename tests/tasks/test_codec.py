"""Files of pictures: what is read is what was written, to the bit; what is damaged or foreign is refused."""

import struct
import zlib

import numpy as np
import pytest
import torch
from properties import trained

from limner import models
from limner.errors import BadImage, ConfigError, NotAble
from limner.images.lossy import smallest_above
from limner.tasks import codec
from limner.types import Condition, DataSpec

MINE, OTHER = "ab" * 32, "cd" * 32


def small_codec(channels=3, **config):
    torch.manual_seed(0)
    return models.build(
        "codec", models.configure("codec", {"width": 8, "numbers": 4, **config}), DataSpec(channels, 96, 96)
    ).eval()


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (1, 40), (33, 50)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_read_is_what_the_model_makes_of_its_numbers(size, channels):
    model, given = small_codec(channels), picture(*size, channels)
    packed = codec.compress(model, MINE, given)
    made = codec.decompress(model, MINE, packed.data)
    way = codec._way(model)
    symbols = way.symbols(codec._filled(given, 8, 8), 1.0)
    direct = way.picture(symbols, 1.0, *symbols.shape[1:])[: size[0], : size[1]]
    assert np.array_equal(made, direct) and made.shape == given.shape
    assert packed.bits == 8 * len(packed.data) / (size[0] * size[1])


@pytest.mark.parametrize("name", ["fsq", "vqvae", "latent-ae", "vae", "ae"])
def test_models_of_one_size_are_codecs_of_any(name, digits):
    model, given = trained(name, digits, 2), picture(13, 21, 1)
    packed = codec.compress(model, MINE, given, step=0.5)
    assert np.array_equal(codec.decompress(model, MINE, packed.data), codec.decompress(model, MINE, packed.data))
    assert codec.decompress(model, MINE, packed.data).shape == given.shape
    if name == "ae":  # a tile by itself is what the model reconstructs from rounded latents
        alone = codec.compress(model, MINE, given[:8, :8], step=0.5)
        image = torch.from_numpy(given[:8, :8].astype(np.float32) / 127.5 - 1)[None, None, ..., 0]
        direct = model.decode((model.encode(image, Condition()) / 0.5).round() * 0.5, Condition())
        made = codec.decompress(model, MINE, alone.data)
        assert np.abs((direct[0, 0].detach().clamp(-1, 1).numpy() + 1) * 127.5 - made[..., 0]).max() <= 1


@pytest.mark.parametrize("vocabulary", [0, 5, 240])
def test_numbers_of_every_kind_come_back(vocabulary):
    rng = np.random.default_rng(0)
    if vocabulary:
        symbols = rng.integers(0, vocabulary, (2, 9, 7))
    else:
        symbols = np.round(rng.standard_t(1.2, (3, 11, 13)) * 3).clip(-9e5, 9e5).astype(np.int64)
    words = codec._encode(symbols, vocabulary)
    assert np.array_equal(codec._decode(words, symbols.shape, vocabulary), symbols)


@pytest.mark.parametrize("scale", [0.1, 0.7, 3.0])
def test_the_rate_is_near_the_entropy(scale):
    """Of independent numbers; what is above it is the price of learning what they are like."""
    numbers = np.round(np.random.default_rng(0).laplace(0, scale, (1, 120, 120))).astype(np.int64)
    values, counts = np.unique(numbers, return_counts=True)
    shares = counts / counts.sum()
    entropy = -(shares * np.log2(shares)).sum()
    rate = 32 * len(codec._encode(numbers, 0)) / numbers.size
    assert entropy <= rate + 0.01 and rate < 1.05 * entropy + 0.04


def test_numbers_that_follow_their_neighbours_cost_less():
    rng = np.random.default_rng(0)
    busy = np.repeat(np.repeat(rng.random((1, 6, 6)) < 0.5, 16, axis=1), 16, axis=2)
    numbers = np.round(rng.normal(0, 4, busy.shape) * busy).astype(np.int64)
    shuffled = rng.permutation(numbers.ravel()).reshape(numbers.shape)
    assert len(codec._encode(numbers, 0)) < 0.9 * len(codec._encode(shuffled, 0))


def test_every_flipped_byte_and_every_cut_is_found():
    model, given = small_codec(1), picture(16, 16, 1)
    data = codec.compress(model, MINE, given).data
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x41
        with pytest.raises(BadImage):
            codec.decompress(model, MINE, bytes(damaged))
    for length in range(0, len(data), 3):
        with pytest.raises(BadImage):
            codec.decompress(model, MINE, data[:length])


def test_a_hostile_head_with_a_right_checksum_is_refused():

    def forged(height, width, channels=1, kind=0, step=1.0, words=0):
        head = struct.pack(
            "<4s16sIIBBfI", b"LIM1", bytes.fromhex(MINE)[:16], height, width, channels, kind, step, words
        )
        return head + struct.pack("<I", zlib.crc32(head))

    model = small_codec(1)
    for data, message in [
        (forged(2**31, 2**31), "too large"),
        (forged(0, 5), "empty"),
        (forged(8, 8, channels=3), "cannot have written"),
        (forged(8, 8, kind=1), "cannot have written"),
        (forged(8, 8, step=float("nan")), "cannot have written"),
        (forged(8, 8, words=9), "checksum"),
    ]:
        with pytest.raises(BadImage, match=message):
            codec.decompress(model, MINE, data)


def test_a_file_of_another_model_and_models_without_numbers_are_refused(digits):
    model = small_codec(1)
    data = codec.compress(model, MINE, picture(8, 8, 1)).data
    with pytest.raises(ConfigError, match="written by another model"):
        codec.decompress(model, OTHER, data)
    with pytest.raises(NotAble, match="makes no numbers"):
        codec.compress(trained("gan", digits, 1), MINE, picture(8, 8, 1))
    with pytest.raises(ConfigError, match="step=0"):
        codec.compress(model, MINE, picture(8, 8, 1), step=0)


def test_training_lowers_rate_and_distortion(digits):
    from runs import batch_of, build, few, take_steps

    data = few(digits, 32)
    before = build("codec", data, numbers=8)
    after = take_steps(build("codec", data, numbers=8), data, 60)

    def cost(model):
        from limner.model import Step
        from limner.rng import StepRng

        with torch.no_grad():
            return float(next(model.losses(batch_of(data), Step(0, 0, StepRng(0, 0, start=0, stop=8, total=8)))).value)

    assert cost(after) < 0.8 * cost(before)


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_other_side_is_never_given_fewer_bytes(kind, channels):
    given = picture(64, 64, channels)
    least = 2_500
    size, made = smallest_above(given, kind, least)
    assert size >= least and made.shape == (64, 64, min(channels, 3))
    assert smallest_above(given, kind, 10**9)[0] < 10**9  # the best there is
