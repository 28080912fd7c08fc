"""Training steps as one writes them by hand in plain PyTorch: what Limner's loop is weighed against.

They train copies of Limner's own networks with the same losses, optimisers and arithmetic, and do nothing else: no
log, no averages, no checks, noise from torch's own generator.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from limner.training.precision import Arithmetic


class Batches:
    """Shuffled batches of images that lie in memory: (B, C, H, W) float32 in [-1, 1]."""

    def __init__(self, images: np.ndarray, size: int, memory_format: torch.memory_format) -> None:
        self.images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        self.size, self._rows = size, self._shuffled()

    def next(self) -> Tensor:
        return self.images[next(self._rows)].float().div_(127.5).sub_(1)

    def _shuffled(self) -> Iterator[Tensor]:
        while True:
            yield from torch.randperm(len(self.images)).split(self.size)[: len(self.images) // self.size]


class VAEByHand:
    """A VAE of two stacks of linear layers with Bernoulli pixels."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, batches: Batches, arithmetic: Arithmetic) -> None:
        """`encoder` takes (B, C H W) to mean and log variance side by side, `decoder` latents to (B, C H W) logits."""
        self.encoder, self.decoder = copy.deepcopy(encoder), copy.deepcopy(decoder)
        self.batches, self.bf16 = batches, arithmetic.bf16
        self.optimizer = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()], 2e-3, fused=True)

    def step(self) -> None:
        image = self.batches.next().flatten(1)  # (B, C H W)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            mean, log_variance = self.encoder(image).float().chunk(2, dim=1)
            logits = self.decoder(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)).float()
            pixels = binary_cross_entropy_with_logits(logits, (image + 1) / 2, reduction="none").sum(1).mean()
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
            loss = pixels + kl
        loss.backward()
        self.optimizer.step()


class GANByHand:
    """A GAN with the non-saturating loss; the generator runs once a step and serves both players."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, batches: Batches, arithmetic: Arithmetic
    ) -> None:
        self.generator, self.discriminator = copy.deepcopy(generator), copy.deepcopy(discriminator)
        self.batches, self.bf16 = batches, arithmetic.bf16
        self.judged, self.made = list(self.discriminator.parameters()), list(self.generator.parameters())
        self.discriminator_optimizer = torch.optim.Adam(self.judged, 2e-4, (0.5, 0.999), fused=True)
        self.generator_optimizer = torch.optim.Adam(self.made, 2e-4, (0.5, 0.999), fused=True)
        self.nothing = torch.zeros(batches.size, 0)  # the condition, of which there is none

    def step(self) -> None:
        real = self.batches.next()
        latent = torch.randn(len(real), *self.generator.latent_shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            fake = self.generator(latent, self.nothing)
            loss = softplus(-self._judge(real)).mean() + softplus(self._judge(fake.detach())).mean()
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.discriminator_optimizer.step()

        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = softplus(-self._judge(fake)).mean()
        self.generator_optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=self.made)
        self.generator_optimizer.step()

    def _judge(self, image: Tensor) -> Tensor:
        return self.discriminator(image, self.nothing)
