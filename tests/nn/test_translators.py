"""Generators that turn pictures into pictures: what they start as."""

import pytest
import torch

from limner.nn.translators import ResNetTranslator


@pytest.mark.parametrize(("given", "wanted"), [(3, 3), (1, 3), (3, 1)])
def test_a_residual_network_starts_with_its_source_shining_through(given, wanted):
    """It started as noise, and after eight minutes on a CPU its pictures were as blurred as its middle is small."""
    torch.manual_seed(0)
    source = torch.rand(4, given, 16, 16) * 2 - 1
    made = ResNetTranslator(given, wanted, width=8, blocks=2)(source)
    seen = source if given == wanted else source.mean(1, keepdim=True).expand(-1, wanted, -1, -1)
    alike = torch.corrcoef(torch.stack([made.flatten(), seen.flatten()]))[0, 1]
    assert alike > 0.35  # next to nothing without the source, and 1 where nothing but it is seen
