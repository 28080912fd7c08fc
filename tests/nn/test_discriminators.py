import pytest
import torch
from torch import nn

from limner.nn.blocks import NORMS, Blueprint
from limner.nn.discriminators import DISCRIMINATORS


def blueprint(shape=(3, 16, 24), *, condition_width=0, norm="none", **parts):
    return Blueprint(shape=shape, condition_width=condition_width, width=4, depth=2, norm=norm, **parts)


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("norm", NORMS)
def test_discriminators_give_one_logit_an_image(name, norm):
    logits = DISCRIMINATORS[name](blueprint(norm=norm))(torch.randn(5, 3, 16, 24), torch.zeros(5, 0))
    assert logits.shape == (5,) and logits.dtype == torch.float32 and logits.std() > 0


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_logit_depends_on_the_condition_by_projection(name):
    """An unknown condition, all zeros, adds nothing; two classes add different amounts."""
    discriminator = DISCRIMINATORS[name](blueprint(condition_width=2))
    image = torch.randn(1, 3, 16, 24)
    unknown, first, second = (discriminator(image, torch.tensor([row])) for row in ([0.0, 0], [1.0, 0], [0.0, 1]))
    both = discriminator(image, torch.ones(1, 2))
    assert not torch.allclose(first, second)
    torch.testing.assert_close(both - unknown, (first - unknown) + (second - unknown), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_spectral_normalisation_bounds_every_layer_of_the_discriminator(name):
    discriminator = DISCRIMINATORS[name](blueprint(spectral_norm=True))
    image = torch.randn(4, 3, 16, 24)
    for _ in range(30):
        discriminator(image, torch.zeros(4, 0))
    discriminator.eval()
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    largest = [torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() for layer in layers]
    assert largest == pytest.approx([1.0] * len(layers), abs=0.03)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_dropout_drops_in_training_only(name):
    discriminator, image = DISCRIMINATORS[name](blueprint(dropout=0.5)), torch.randn(2, 3, 16, 24)
    condition = torch.zeros(2, 0)
    assert not torch.equal(discriminator(image, condition), discriminator(image, condition))
    discriminator.eval()
    assert torch.equal(discriminator(image, condition), discriminator(image, condition))


def test_dcgan_is_the_published_network():
    """2.77 million parameters at 64x64, and 0.66 million at 32x32."""
    for side, depth, count in ((64, 4, 2_765_568), (32, 3, 663_296)):
        published = Blueprint((3, side, side), condition_width=0, width=64, depth=depth, norm="batch")
        assert sum(p.numel() for p in DISCRIMINATORS["dcgan"](published).parameters()) == count
