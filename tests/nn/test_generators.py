import pytest
import torch

from limner.nn.blocks import NORMS, Blueprint
from limner.nn.generators import GENERATORS


def blueprint(shape=(3, 16, 24), *, condition_width=0, norm="none", **parts):
    return Blueprint(shape=shape, condition_width=condition_width, width=4, depth=2, latent=6, norm=norm, **parts)


def draw(generator, rows, width=0, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(rows, *generator.latent_shape, generator=rng), torch.zeros(rows, width)


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("norm", NORMS)
def test_generators_make_images_of_the_asked_shape_and_range(name, norm):
    generator = GENERATORS[name](blueprint(norm=norm))
    images = generator(*draw(generator, 3))
    assert images.shape == (3, 3, 16, 24) and images.dtype == torch.float32
    assert not generator.bounded or images.abs().max() <= 1


@pytest.mark.parametrize("name", GENERATORS)
def test_an_untrained_generator_neither_saturates_nor_dies(name):
    """Saturated or constant first images teach the generator nothing."""
    generator = GENERATORS[name](blueprint(norm="none"))
    images = generator(*draw(generator, 16))
    assert 0.01 < images.std(dim=0).mean() and images.abs().mean() < (0.9 if generator.bounded else 2)


@pytest.mark.parametrize("name", GENERATORS)
def test_in_eval_mode_no_image_depends_on_its_neighbours(name):
    generator = GENERATORS[name](blueprint(norm="batch"))
    latent, condition = draw(generator, 8)
    generator(latent, condition)  # one training pass moves the running statistics
    generator.eval()
    singles = [generator(latent[k : k + 1], condition[k : k + 1]) for k in range(8)]
    torch.testing.assert_close(generator(latent, condition), torch.cat(singles), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", GENERATORS)
def test_the_picture_depends_on_latent_and_condition(name):
    generator = GENERATORS[name](blueprint(condition_width=2))
    latent, nothing = draw(generator, 1, width=2)
    other = generator(draw(generator, 1, width=2, seed=1)[0], nothing)
    first, second = (generator(latent, torch.eye(2)[k : k + 1]) for k in range(2))
    assert not torch.allclose(first, second) and not torch.allclose(generator(latent, nothing), other)


def test_dcgan_is_the_published_network():
    """3.58 million parameters at 64x64, and 1.07 million at 32x32."""
    for side, depth, count in ((64, 4, 3_576_704), (32, 3, 1_068_928)):
        published = Blueprint((3, side, side), condition_width=0, width=64, depth=depth, latent=100, norm="batch")
        assert sum(p.numel() for p in GENERATORS["dcgan"](published).parameters()) == count
