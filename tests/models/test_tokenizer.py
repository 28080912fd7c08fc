"""Tokenizers of one grid: there and back, the warm-up, what is logged, and codebooks that survive being saved."""

from dataclasses import replace

import pytest
import torch
from runs import build as tiny
from runs import take_steps

from limner.errors import ConfigError
from limner.model import Encodes, SampleOptions, Samples, Step, Tokenizes
from limner.models import configure
from limner.models.tokenizer import Tokenizer, TokenizerConfig
from limner.rng import ImageRng, StepRng
from limner.types import Batch, Condition, DataSpec

FSQ = TokenizerConfig(width=8)
VQ = replace(FSQ, quantizer="codebook", codes=32)
DATA = DataSpec(1, 16, 16)
NOTHING = Condition()


def build(config=FSQ, data=DATA):
    torch.manual_seed(0)
    return Tokenizer(config, data)


def images(rows=8, data=DATA):
    return torch.rand(rows, *data.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def step(rows, index=0, progress=1.0):
    return Step(index, 0, StepRng(0, index, start=0, stop=rows, total=rows), progress)


@pytest.mark.parametrize("config", [FSQ, VQ])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 48), (4, 8, 8)])
def test_images_become_a_grid_of_tokens_and_come_back(config, shape):
    data = DataSpec(*shape)
    model = build(config, data).eval()
    tokens = model.tokenize(images(3, data))
    assert tokens.shape == (3, *model.grid) and tokens.dtype == torch.int64
    assert tokens.min() >= 0 and tokens.max() < model.vocabulary
    image = model.detokenize(tokens)
    assert image.shape == (3, *shape) and image.abs().max() <= 1
    torch.testing.assert_close(image, model.decode(model.encode(images(3, data), NOTHING), NOTHING))
    assert model.draw_latent(ImageRng(0, range(2)), SampleOptions()).shape == (2, *model.latent_shape)


@pytest.mark.parametrize("config", [FSQ, VQ])
def test_the_warm_up_rounds_nothing_and_then_all_is_rounded(config):
    model, seen = build(replace(config, warmup=0.5)), []
    model.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    for progress in (0.0, 0.49, 0.5, 1.0):
        next(model.losses(Batch(images(), NOTHING), step(8, progress=progress)))
    levels = [len(code.flatten(2).transpose(1, 2).flatten(0, 1).unique(dim=0)) for code in seen]
    cells = 8 * model.grid[0] * model.grid[1]
    assert levels[:2] == [cells, cells] and max(levels[2:]) < cells / 2


def test_what_is_logged_is_the_error_and_how_much_of_the_vocabulary_is_used():
    loss = next(build(VQ).losses(Batch(images(), NOTHING), step(8)))
    terms = loss.terms()
    assert set(terms) == {"psnr", "usage", "perplexity"}
    assert 0 < terms["usage"] <= 1 and 1 <= terms["perplexity"] <= 32
    assert torch.isfinite(loss.value)


def test_the_codebook_learns_after_the_step_and_only_then():
    model = build(VQ)
    losses = model.losses(Batch(images(), NOTHING), step(8))
    before = model.quantizer.table.clone()
    next(losses)
    assert torch.equal(model.quantizer.table, before)
    assert next(losses, None) is None
    assert not torch.equal(model.quantizer.table, before)


def test_a_codebook_is_saved_with_the_model():
    model = build(VQ)
    list(model.losses(Batch(images(), NOTHING), step(8)))
    other = build(VQ)
    other.load_state_dict(model.state_dict())
    for index in (1, 2):
        for each in (model, other):
            list(each.losses(Batch(images(), NOTHING), step(8, index)))
    assert torch.equal(model.quantizer.table, other.quantizer.table)


def test_the_commitment_pulls_features_to_the_codebook():
    values = [next(build(replace(VQ, commitment=w)).losses(Batch(images(), NOTHING), step(8))).value for w in (0, 1)]
    model = build(VQ)
    cost = model.quantizer(model.standardise(model.encoder(images()))).cost
    torch.testing.assert_close(values[1] - values[0], cost)


@pytest.mark.parametrize("name", ["fsq", "vqvae"])
def test_an_image_can_be_learned_by_heart(name, digits):
    """From 64 cells of 8x8 digits: what the tokens keep is most of the picture."""
    model = tiny(name, digits, width=32, codes=64)
    image = torch.from_numpy(digits.images[:64]).permute(0, 3, 1, 2).float() / 127.5 - 1
    model = take_steps(model, digits, 300).eval()
    error = (model.detokenize(model.tokenize(image)) - image).square().mean()
    assert error < 0.25 * image.var(), error


def test_it_tokenizes_and_does_not_pretend_to_make_images():
    assert isinstance(build(), Tokenizes) and isinstance(build(), Encodes) and not isinstance(build(), Samples)


def test_the_default_vocabulary_is_about_256():
    assert build().vocabulary == 240 and build(configure("vqvae", {})).vocabulary == 512


@pytest.mark.parametrize(
    "settings",
    [{"levels": ()}, {"levels": (8, 1)}, {"codes": 1}, {"code_width": 0}, {"warmup": 1.0}, {"quantizer": "vq"}],
)
def test_settings_that_cannot_be_are_refused_by_name(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TokenizerConfig(**settings)
