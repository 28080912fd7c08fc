"""Networks that pictures are compared through: their maps, their gradients, and files that are not theirs."""

import pytest
import torch
from safetensors.torch import save_file

from limner.errors import ConfigError, ModelError
from limner.features.perception import check_size, perception


def image(side=64, seed=0):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def vgg_weights(path, *, missing=None):
    """A file in torchvision's layout, with weights of its own."""
    torch.manual_seed(0)
    tensors, given, place = {}, 3, 0
    for stage in ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4):
        for width in stage:
            tensors[f"features.{place}.weight"] = torch.randn(width, given, 3, 3) * (2 / (9 * given)) ** 0.5
            tensors[f"features.{place}.bias"] = torch.zeros(width)
            given, place = width, place + 2
        place += 1
    save_file({name: part for name, part in tensors.items() if name != missing}, path)
    return path


@pytest.mark.parametrize("name", ["lite0", "random", "vgg19"])
def test_maps_get_coarser_and_pass_gradients_to_the_picture_alone(name, tmp_path):
    network = perception(name, vgg_weights(tmp_path / "vgg.safetensors") if name == "vgg19" else None)
    given = image().requires_grad_()
    maps = network(given)
    sides = [part.shape[2] for part in maps]
    assert sides == sorted(sides, reverse=True) and sides[-1] < sides[0] and network.content < len(maps)
    sum(part.square().mean() for part in maps).backward()
    assert given.grad.abs().sum() > 0 and not any(parameter.requires_grad for parameter in network.parameters())
    again = perception(name, tmp_path / "vgg.safetensors" if name == "vgg19" else None)(image())
    assert all(torch.equal(a.detach(), b) for a, b in zip(maps, again, strict=True))


def test_lite0_sees_what_the_extractor_sees():
    from limner.features.lite0 import Lite0

    given = image(128)
    extractor = Lite0(side=128)
    for ours, theirs in zip(perception("lite0")(given)[1:], extractor.float_maps(given), strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=1e-2)


def test_what_cannot_be_had_is_said(tmp_path):
    with pytest.raises(ConfigError, match="needs its weights"):
        perception("vgg19")
    with pytest.raises(ConfigError, match="unknown features 'resnet'"):
        perception("resnet")
    with pytest.raises(ModelError, match="lacks 'features.5.weight'"):
        perception("vgg19", vgg_weights(tmp_path / "bad.safetensors", missing="features.5.weight"))
    with pytest.raises(ConfigError, match="too small"):
        check_size(perception("random"), (20, 300))
