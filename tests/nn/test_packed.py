"""Packed matrices: the same bits as torch's own product of bf16 numbers."""

import copy

import pytest
import torch
from torch import nn

from limner.nn import packed
from limner.nn.packed import PackedLinear, pack


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 40), nn.Sequential(nn.SiLU(), nn.Linear(40, 7, bias=False))).bfloat16()


needed = pytest.mark.skipif(not packed._possible(), reason="this processor has no bf16 units")


@needed
@pytest.mark.parametrize("shape", [(1, 24), (5, 24), (3, 4, 24), (70, 24)])
def test_products_are_the_same_for_any_number_of_rows(shape):
    plain = layers()
    other = copy.deepcopy(plain)
    pack(other)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).bfloat16()
    with torch.inference_mode():
        assert torch.equal(other(x), plain(x)) and other(x).dtype == torch.bfloat16


@needed
def test_every_plain_layer_is_packed_and_no_other():
    class Own(nn.Linear):
        """A layer that is more than a product."""

    network = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ModuleList([nn.Linear(4, 4)]), "own": Own(4, 4)}).bfloat16()
    pack(network)
    assert [type(each) for each in (network["a"], network["b"][0], network["own"])] == [PackedLinear, PackedLinear, Own]


def test_numbers_in_fp32_stay_as_they_are(monkeypatch):
    network = nn.Sequential(nn.Linear(4, 4))
    pack(network)
    assert type(network[0]) is nn.Linear
    monkeypatch.setattr(packed, "_possible", lambda: False)
    network.bfloat16()
    pack(network)
    assert type(network[0]) is nn.Linear
