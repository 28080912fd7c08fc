"""The networks of diffusion models: what goes in comes out in shape, starts at zero, and hears all it is told."""

import pytest
import torch

from limner.errors import ConfigError
from limner.nn.attention import Attention, attend
from limner.nn.backbones import BackbonePlan

PLAN = BackbonePlan("unet", (3, 8, 12), 16, 2, (1, 2), 1, (1,), 1, 8, 0.0, condition=5, text=6, levels=1)


def built(name, **changes):
    from dataclasses import replace

    torch.manual_seed(0)
    return replace(PLAN, name=name, **changes).build().eval()


def given(rows=3):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 3, 8, 12, generator=rng)
    text = torch.randn(rows, 4, 6, generator=rng), torch.tensor([[True, True, False, False]] * rows)
    return x, [torch.rand(rows, generator=rng)], torch.randn(rows, 5, generator=rng), text


def awake(network):
    """The network with nothing at zero."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return network


@pytest.mark.parametrize(("name", "patch"), [("unet", 1), ("unet", 2), ("dit", 2), ("dit", 4), ("mlp", 1)])
def test_a_network_gives_zeros_of_the_shape_of_its_input(name, patch):
    x, *told = given()
    out = built(name, patch=patch)(x, *told)
    assert out.shape == x.shape and not out.any()


@pytest.mark.parametrize(("name", "patch"), [("unet", 2), ("dit", 2), ("mlp", 1)])
def test_a_network_hears_the_level_the_condition_and_the_text(name, patch):
    network = awake(built(name, patch=patch))
    x, levels, condition, (tokens, mask) = given()
    plain = network(x, levels, condition, (tokens, mask))
    assert not torch.allclose(plain, network(x, [levels[0] + 0.3], condition, (tokens, mask)), atol=1e-5)
    assert not torch.allclose(plain, network(x, levels, condition + 1, (tokens, mask)), atol=1e-5)
    heard = network(x, levels, condition, (tokens + 1, mask))
    assert torch.equal(plain, heard) == (name == "mlp")  # which hears a text in the condition alone
    padding = tokens.clone()
    padding[:, 2:] = 99.0
    assert torch.allclose(plain, network(x, levels, condition, (padding, mask)), atol=1e-6), "padding was heard"


@pytest.mark.parametrize(("name", "patch"), [("unet", 1), ("dit", 2), ("mlp", 1)])
def test_rows_of_a_batch_never_meet(name, patch):
    network = awake(built(name, patch=patch))
    x, levels, condition, (tokens, mask) = given()
    alone = network(x[1:2], [levels[0][1:2]], condition[1:2], (tokens[1:2], mask[1:2]))
    assert torch.allclose(network(x, levels, condition, (tokens, mask))[1:2], alone, atol=1e-5)


def test_sizes_that_do_not_fit_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match="patch=3 does not divide 8x12; use one of 1, 2, 4"):
        built("dit", patch=3)
    with pytest.raises(ConfigError, match="patch=3"):
        built("unet", patch=3)
    with pytest.raises(ConfigError, match="not divisible"):
        built("unet", mults=(1, 1, 1, 1, 1))


def test_attention_is_the_same_by_either_kernel():
    rng = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 7, 8, generator=rng) for _ in range(3))
    mask = torch.rand(2, 7, generator=rng) < 0.6
    mask[:, 0] = True
    for seen in (None, mask):
        plain = attend(query, key, value, seen)
        half = attend(query.bfloat16(), key.bfloat16(), value.bfloat16(), seen)
        assert half.dtype == torch.bfloat16
        assert torch.allclose(plain, half.float(), atol=0.03)


def test_attention_to_a_memory_sees_the_memory_alone():
    torch.manual_seed(0)
    layer = Attention(8, 2, memory_width=6)
    x, memory = torch.randn(2, 3, 8), torch.randn(2, 5, 6)
    assert layer(x, memory).shape == (2, 3, 8)
    with pytest.raises(AssertionError, match="memory"):
        layer(x)
