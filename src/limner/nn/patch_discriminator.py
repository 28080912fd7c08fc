"""A discriminator that judges every patch of an image by itself: many small opinions, each on texture alone."""

from __future__ import annotations

from torch import Tensor, nn

from .initialise import initialise


class PatchDiscriminator(nn.Module):
    """Two halvings and two convolutions: a logit for each cell of a quarter-resolution grid, which sees 26 pixels.

    Source: Isola et al. 2017, arXiv 1611.07004, section 3.2, without normalisation, for no image may depend on others.
    """

    def __init__(self, channels: int, *, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )
        initialise(self.layers, normalised=False)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, H / 4, W / 4) logits, float32; above 0 means real."""
        return self.layers(image).squeeze(1).float()
