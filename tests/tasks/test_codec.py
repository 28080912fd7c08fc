"""Files of pictures: what is read is what was written, to the bit; what is damaged or foreign is refused."""

import math
import struct
import tracemalloc
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


def forged(height=8, width=8, channels=1, kind=0, step=1.0, words=(), claimed=None):
    """A file with a right checksum."""
    count = len(words) if claimed is None else claimed
    head = struct.pack("<4s16sIIBBfI", b"LIM1", bytes.fromhex(MINE)[:16], height, width, channels, kind, step, count)
    body = head + np.asarray(words, "<u4").tobytes()
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_hostile_head_with_a_right_checksum_is_refused():
    model = small_codec(1)
    for data, message in [
        (forged(2**31, 2**31), "too large"),
        (forged(0, 5), "empty"),
        (forged(8, 8, channels=3), "cannot have written"),
        (forged(8, 8, kind=1), "cannot have written"),
        (forged(8, 8, step=float("nan")), "cannot have written"),
        (forged(8, 8, claimed=9), "checksum"),
    ]:
        with pytest.raises(BadImage, match=message):
            codec.decompress(model, MINE, data)


@pytest.mark.parametrize("words", [[], [0], [2**32 - 1]])
def test_a_few_bytes_cannot_claim_a_large_picture(words):
    """42 bytes used to be read as a picture of 2^27 pixels: the coder invents zeros behind the last word."""
    model = small_codec(1)
    data = forged(8192, 16384, words=words)
    codec._way(model).symbols(picture(8, 8, 1), 1.0)  # so that what is imported at first use is not counted
    tracemalloc.start()
    with pytest.raises(BadImage, match=f"claims 8,388,608 numbers, but {len(words)} words hold at most .*forged"):
        codec.decompress(model, MINE, data)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_words_that_were_not_written_for_that_size_are_refused():
    model = small_codec(1)
    _, words = codec._opened(codec.compress(model, MINE, picture(40, 64, 1)).data)
    assert codec.decompress(model, MINE, forged(40, 64, words=words)).shape == (40, 64, 1)
    changed = words.copy()
    changed[-1] ^= 1
    for height, found in [
        (40, words[:-1]),
        (40, words[:1]),
        (40, [*words, 0]),
        (40, [*words, 7, 7, 7]),
        (40, changed),
        (32, words),
        (48, words),
        (400, words),
    ]:
        with pytest.raises(BadImage, match="damaged or forged"):
            codec.decompress(model, MINE, forged(height, 64, words=found))


@pytest.mark.parametrize("vocabulary", [0, 2, 70_000])
def test_the_cheapest_numbers_there_are_fit_the_bound(vocabulary):
    """So nothing that was written is ever refused for claiming too much."""
    symbols = np.zeros((1, 40, 50) if vocabulary > 2 else (1, 200, 300), np.int64)
    words = codec._encode(symbols, vocabulary)
    assert symbols.size <= codec._most(len(words), vocabulary)
    assert codec._most(1, 0) < 60_000  # 32 bits, where the likeliest number takes 0.00055


def test_a_picture_that_no_file_may_hold_is_not_written():
    with pytest.raises(ConfigError, match="134,217,728 pixels"):
        codec.compress(small_codec(1), MINE, np.broadcast_to(np.uint8(0), (1 << 14, 1 << 14, 1)))


@pytest.mark.parametrize("count", [2, 26, 1000])
def test_the_coder_works_on_whole_numbers(count):
    """What it writes is a number in the interval that exact arithmetic finds, so no rounding anywhere has a say."""
    from constriction import stream

    rng = np.random.default_rng(0)
    encoder = stream.queue.RangeEncoder()
    low, width, shifts = 0, 2**64 - 1, 0
    for _ in range(300):
        shares = codec._shares(rng.integers(1, 3 + codec._LIMIT // count, count))
        weights = 1 + shares
        assert weights.min() >= 1 and weights.sum() == 1 << 24 and weights.dtype == np.int64
        symbol = int(rng.integers(count))
        encoder.encode(symbol, codec._categorical(shares))
        width >>= 24
        low, width = low + width * int(weights[:symbol].sum()), width * int(weights[symbol])
        if width < 1 << 32:
            low, width, shifts = low << 32, width << 32, shifts + 1
    written = int.from_bytes(encoder.get_compressed().astype(">u4").tobytes(), "big")
    written <<= 32 * (shifts + 2 - encoder.num_words())
    assert low <= written < low + width


def test_counts_start_as_whole_numbers():
    """2.0 ** x differs between C libraries in its last bit, and so did what it was cut to."""
    first = codec._Tables(1, 0).counts[0]
    wanted = 48 * (np.array(codec._DECAY)[:, None] / 256) ** np.abs(np.arange(-12, 13))
    assert (np.abs(first[:, :-1] - wanted) <= 1).all() and (first[:, -1] == 1).all()


@pytest.mark.parametrize("vocabulary", [0, 300])
def test_the_words_cost_what_the_tables_say(vocabulary):
    """Nothing is lost on the way from the probabilities to the file but the last word's spare bits."""
    rng = np.random.default_rng(0)
    drawn = np.round(rng.laplace(0, 2, (2, 60, 60))).clip(-12, 12).astype(np.int64)
    symbols = np.abs(drawn) if vocabulary else drawn
    tables, bits = codec._Tables(2, vocabulary), 0.0
    for place in np.ndindex(*symbols.shape):
        context = 0 if vocabulary else codec._context(symbols, *place)
        symbol = int(symbols[place]) + (0 if vocabulary else codec._SMALL)
        shares = codec._shares(tables.counts[place[0], context])
        bits -= math.log2((1 + shares[symbol]) / codec._TOTAL)
        tables.learn(place[0], context, symbol)
    assert bits <= 32 * len(codec._encode(symbols, vocabulary)) < 1.0001 * bits + 64


def test_a_file_of_another_model_and_models_without_numbers_are_refused(digits):
    model = small_codec(1)
    data = codec.compress(model, MINE, picture(8, 8, 1)).data
    with pytest.raises(ConfigError, match="written by another model"):
        codec.decompress(model, OTHER, data)
    with pytest.raises(NotAble, match="makes no numbers"):
        codec.compress(trained("gan", digits, 1), MINE, picture(8, 8, 1))
    for step in (0, -1, float("nan"), float("inf"), 1e60, 1e-30):
        with pytest.raises(ConfigError, match="is not from 0.001 to 1000 deviations"):
            codec.compress(model, MINE, picture(8, 8, 1), step=step)
    for step in (0.001, 1000.0):
        assert codec.decompress(model, MINE, codec.compress(model, MINE, picture(8, 8, 1), step=step).data).any()


def test_nothing_beyond_reach_matters():
    """`reach` was 56, so tiles of a large picture differed from the whole at their edges. The true distance is 59."""
    model = small_codec(1)
    size = 2 * 96 + 8
    image = torch.randn(1, 1, size, size, requires_grad=True)
    made = model._picture(model._numbers(image))  # without rounding, which has no gradient
    farthest = 0
    for place in range(96, 104):  # each phase of the three doublings
        (slope,) = torch.autograd.grad(made[0, 0, place, place], image, retain_graph=True)
        seen = slope[0, 0].nonzero() - place
        farthest = max(farthest, int(seen.abs().max()))
    assert farthest == 59 and model.reach - model.multiple < farthest <= model.reach
    assert model.reach % model.multiple == 0


def test_the_rate_of_an_outlier_keeps_its_gradient():
    """It was cut off where a probability fell below 1e-9, 15 steps out, and nothing drew such a number back."""
    model = small_codec(1)
    far = torch.tensor([0.0, 3.0, -15.0, 200.0, -1e6]).repeat(1, 4, 1, 1).requires_grad_()
    bits = model._bits(far)
    (slope,) = torch.autograd.grad(bits.sum(), far)
    assert bits.isfinite().all() and (bits[..., 1:] > bits[..., :-1]).all()
    assert torch.allclose(slope[0, 0, 0, 2:], torch.tensor([-1.0, 1.0, -1.0]) / math.log(2), rtol=1e-4)
    assert torch.autograd.grad(model._bits(far).sum(), model.log_scale)[0].isfinite().all()


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 20.0])
def test_the_rate_is_that_of_a_probability(scale):
    """Over all whole numbers it sums to 1, and near zero it is the plain difference of two sigmoids."""
    model = small_codec(1)
    torch.nn.init.constant_(model.log_scale, math.log(scale))
    numbers = torch.arange(-600.0, 601.0).repeat(1, 4, 1, 1)
    shares = torch.exp2(-model._bits(numbers).detach().double())
    assert (shares.sum(-1) - 1).abs().max() < 1e-4
    middle = torch.sigmoid(torch.tensor(0.5 / scale)) - torch.sigmoid(torch.tensor(-0.5 / scale))
    assert float(shares[0, 0, 0, 600]) == pytest.approx(float(middle), rel=1e-4)


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
