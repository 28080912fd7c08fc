"""Attention in bf16 by products: as torch's own, whoever else is in the batch, with gradients and without."""

import pytest
import torch
from torch.nn import functional as F

from limner.nn import attention
from limner.nn.attention import attend, products

SHAPE = (6, 4, 33, 8)  # images, heads, places, numbers


def inputs(dtype=torch.bfloat16):
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(SHAPE, generator=draw).to(dtype) for _ in range(3)]


def masks():
    """(6, 33) bool, at least one seen in each row."""
    seen = torch.rand(6, 33, generator=torch.Generator().manual_seed(1)) > 0.4
    seen[:, 0] = True
    return seen


@pytest.mark.parametrize("mask", [None, masks()], ids=["all", "some"])
def test_products_are_attention(mask):
    query, key, value = inputs()
    expected = F.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), attn_mask=None if mask is None else mask[:, None, None]
    )
    torch.testing.assert_close(attend(query, key, value, mask).float(), expected, atol=0.02, rtol=0.02)
    torch.testing.assert_close(
        attend(*(each.float() for each in (query, key, value)), mask), expected, atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("seen", [None, masks()[:, None, None], torch.ones(1, 1, 33, 33, dtype=torch.bool).tril()])
def test_a_few_images_at_a_time_are_all_at_once(seen, monkeypatch):
    query, key, value = inputs()
    with torch.no_grad():
        whole = products(query, key, value, seen)
        monkeypatch.setattr(attention, "_SCORES", 2 * 4 * 33 * 33)
        assert torch.equal(products(query, key, value, seen), whole)
    assert torch.equal(products(query, key, value, seen), whole)  # with gradients, never in parts


def test_autocast_does_not_widen_them():
    query, key, value = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        made = attend(query, key, value)
    assert made.dtype == torch.bfloat16 and torch.equal(made, attend(query, key, value))


@pytest.mark.parametrize("tiles", [False, True])
def test_without_gradients_a_processor_that_multiplies_tiles_takes_the_kernel(tiles, monkeypatch):
    query, key, value = inputs()
    monkeypatch.setattr(attention, "multiplies_tiles", lambda: tiles)
    by_products = products(query, key, value, None)
    assert torch.equal(attend(query, key, value), by_products)  # with gradients, always
    with torch.no_grad():
        fused = F.scaled_dot_product_attention(query, key, value)
        assert torch.equal(attend(query, key, value), fused if tiles else by_products)
        assert torch.equal(attend(query[:1], key[:1], value[:1]), attend(query, key, value)[:1])
        rough = F.scaled_dot_product_attention(query.float(), key.float(), value.float())
        torch.testing.assert_close(attend(query, key, value).float(), rough, atol=0.02, rtol=0.02)
