import torch

from limner.nn.patch_discriminator import PatchDiscriminator


def test_it_judges_patches_each_by_its_own_pixels():
    """By gradient: the logit of a cell depends on 26 x 26 pixels around it and on nothing else."""
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    logits = PatchDiscriminator(3, width=4)(image)
    assert logits.shape == (1, 16, 16) and logits.dtype == torch.float32
    logits[0, 8, 8].backward()
    seen = (image.grad[0].abs().sum(0) > 0).nonzero()
    low, high = seen.min(0).values, seen.max(0).values
    assert (high - low + 1 == 26).all() and (low <= 33).all() and (high >= 33).all()


def test_every_parameter_is_used():
    discriminator = PatchDiscriminator(1, width=4)
    discriminator(torch.randn(2, 1, 8, 8)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in discriminator.parameters())
