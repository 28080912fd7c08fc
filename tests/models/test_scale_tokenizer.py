from dataclasses import replace

import pytest
import torch

from limner.errors import ConfigError
from limner.model import Encodes, SampleOptions, Step, Tokenizes
from limner.models.scale_tokenizer import ScaleTokenizer, ScaleTokenizerConfig
from limner.rng import ImageRng, StepRng
from limner.types import Batch, Condition, DataSpec

TINY = ScaleTokenizerConfig(width=8, codes=32, code_width=6)
DATA = DataSpec(1, 28, 28)


def build(config=TINY, data=DATA):
    torch.manual_seed(0)
    return ScaleTokenizer(config, data).eval()


def images(rows=4):
    return torch.rand(rows, *DATA.shape, generator=torch.Generator().manual_seed(3)) * 2 - 1


def test_scales_are_tokens_coarse_to_fine_and_come_back():
    model = build()
    tokens = model.tokenize_scales(images())
    assert model.scales == (1, 2, 3, 4, 7) and model.grid == (1, 79)
    assert tokens.shape == (4, 79) and tokens.dtype == torch.int64 and tokens.max() < model.vocabulary == 32
    assert torch.equal(model.tokenize(images()), tokens[:, None])
    image = model.detokenize_scales(tokens)
    assert torch.equal(image, model.detokenize(tokens[:, None])) and image.shape == (4, 1, 28, 28)
    torch.testing.assert_close(image, model.decode(model.encode(images(), Condition()), Condition()))
    assert model.latent_shape == (6, 7, 7)
    assert model.draw_latent(ImageRng(0, range(2)), SampleOptions()).shape == (2, 6, 7, 7)


def test_the_picture_so_far_comes_at_the_side_of_the_next_scale():
    model = build()
    tokens = model.tokenize_scales(images())
    for count, side in ((0, 1), (1, 2), (5, 3), (14, 4), (30, 7), (79, 7)):
        assert model.partial(tokens[:, :count]).shape == (4, 6, side, side)
    assert model.partial(tokens[:, :0]).abs().max() == 0
    torch.testing.assert_close(model.partial(tokens), model.encode(images(), Condition()))
    with pytest.raises(ValueError, match="whole scales"):
        model.partial(tokens[:, :7])


def test_the_picture_so_far_does_not_depend_on_finer_tokens():
    model = build()
    tokens = model.tokenize_scales(images())
    other = tokens.clone()
    other[:, 14:] = 0
    assert torch.equal(model.partial(tokens[:, :14]), model.partial(other[:, :14]))
    assert not torch.equal(model.detokenize_scales(tokens), model.detokenize_scales(other))


def test_a_training_step_moves_the_codebook_the_smoothing_and_the_networks():
    model = build().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for loss in model.losses(Batch(images(), Condition()), Step(0, 0, StepRng(0, 0, start=0, stop=4, total=4))):
        loss.value.backward()
        optimizer.step()
    same = [name for name, value in model.state_dict().items() if torch.equal(value, before[name])]
    assert not same


def test_it_is_a_tokenizer():
    assert isinstance(build(), Tokenizes) and isinstance(build(), Encodes)


def test_scales_that_do_not_fit_are_refused():
    assert build(replace(TINY, sides=(2, 7))).scales == (2, 7)
    with pytest.raises(ConfigError, match="lead from 1 or more to 7"):
        build(replace(TINY, sides=(1, 4)))
    with pytest.raises(ConfigError, match="do not rise"):
        ScaleTokenizerConfig(sides=(1, 4, 2))
    with pytest.raises(ConfigError, match="square"):
        build(data=DataSpec(1, 16, 24))
