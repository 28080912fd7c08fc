"""The DCGAN of PyTorch's examples as it is published: its networks, its start and its training loop, re-written.

Two convolutional networks of width 64 around a latent of 100; normal weights of 0.02; sigmoid and binary
cross-entropy; Adam at 2e-4 with beta1 0.5; float32, contiguous. In one step the discriminator's gradient is
back-propagated for real images, then for made ones, and it steps; then the generator's loss is back-propagated through
both networks, and it steps. Five numbers are read off for the log in each step. Only the data path is not the
example's: the batches lie ready in memory, which is kind to it.
Source: Radford et al. 2016, arXiv 1511.06434; pytorch/examples, dcgan.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LATENT, WIDTH = 100, 64
REAL, FAKE = 1.0, 0.0


def generator(side: int) -> nn.Sequential:
    """(B, 100, 1, 1) -> (B, 3, side, side) in [-1, 1]; side 64, or 16 or 32 for a quick look."""
    widths = [WIDTH * 2**level for level in reversed(range(_halvings(side)))]
    layers: list[nn.Module] = [nn.ConvTranspose2d(LATENT, widths[0], 4, 1, 0, bias=False)]
    for channels_in, channels_out in zip(widths, [*widths[1:], 3], strict=True):
        layers += [nn.BatchNorm2d(channels_in), nn.ReLU(True)]
        layers += [nn.ConvTranspose2d(channels_in, channels_out, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh()).apply(_start)


def discriminator(side: int) -> nn.Sequential:
    """(B, 3, side, side) -> (B, 1, 1, 1), the probability that an image is real."""
    widths = [WIDTH * 2**level for level in range(_halvings(side))]
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for channels_in, channels_out in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(channels_in, channels_out, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(channels_out), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid()).apply(_start)


class ExampleLoop:
    """The example's loop over batches that lie ready: (N, 3, side, side) float32 in [-1, 1]."""

    def __init__(self, images: Tensor, *, batch: int) -> None:
        self.batches, self.place = images.split(batch), 0
        self.generator, self.discriminator = generator(images.shape[-1]), discriminator(images.shape[-1])
        self.judge_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.make_optimizer = torch.optim.Adam(self.generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
        self.loss = nn.BCELoss()

    def step(self) -> tuple[float, ...]:
        """One step; returns both losses, and what the discriminator says of real and of made images, for the log."""
        real = self.batches[self.place % len(self.batches)]
        self.place += 1
        self.discriminator.zero_grad()
        judged = self.discriminator(real).view(-1)
        real_loss = self.loss(judged, torch.full((len(real),), REAL))
        real_loss.backward()
        said_of_real = judged.mean().item()

        fake = self.generator(torch.randn(len(real), LATENT, 1, 1))
        judged = self.discriminator(fake.detach()).view(-1)
        fake_loss = self.loss(judged, torch.full((len(real),), FAKE))
        fake_loss.backward()
        said_before = judged.mean().item()
        self.judge_optimizer.step()

        self.generator.zero_grad()
        judged = self.discriminator(fake).view(-1)
        made_loss = self.loss(judged, torch.full((len(real),), REAL))
        made_loss.backward()
        said_after = judged.mean().item()
        self.make_optimizer.step()
        return (real_loss + fake_loss).item(), made_loss.item(), said_of_real, said_before, said_after


def _halvings(side: int) -> int:
    """How often a side is halved down to 4."""
    return (side // 4).bit_length() - 1


def _start(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
        nn.init.zeros_(layer.bias)
