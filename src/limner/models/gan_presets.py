"""The GANs that have names: what each is, and its settings where they differ from GANConfig's defaults.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PLAIN = {"r1": 0.0, "r2": 0.0, "penalty_every": 1}  # nothing that is younger than the published recipe
_DCGAN = {
    **_PLAIN,
    "objective": "non_saturating",
    "latent": 100,
    "width": 64,
    "generator_norm": "batch",
    "discriminator_norm": "batch",
}

PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "gan": ("generative adversarial network with today's defaults: sharp pictures, fast", {}),
        "dcgan": ("the 2016 convolutional GAN, as published", _DCGAN),
        "lsgan": ("DCGAN with least squares for the loss", {**_DCGAN, "objective": "least_squares"}),
        "wgan": (
            "DCGAN as a Wasserstein GAN with clipped weights, five critic steps to one",
            {**_DCGAN, "objective": "wasserstein", "clip": 0.01, "n_critic": 5},
        ),
        "wgan-gp": (
            "Wasserstein GAN with gradient penalty, five critic steps to one",
            {
                **_DCGAN,
                "objective": "wasserstein",
                "discriminator_norm": "none",
                "gradient_penalty": 10.0,
                "n_critic": 5,
            },
        ),
        "hinge": (
            "residual GAN with spectral normalisation and the hinge loss",
            {
                **_DCGAN,
                "generator": "residual",
                "discriminator": "residual",
                "objective": "hinge",
                "discriminator_norm": "none",
                "spectral_norm": True,
            },
        ),
        "r3gan": (
            "residual GAN with relativistic pairing, R1 and R2 at every step: slow",
            {
                "generator": "residual",
                "discriminator": "residual",
                "generator_norm": "none",
                "width": 64,
                "penalty_every": 1,
            },
        ),
        "mlp-gan": (
            "the 2014 GAN of fully connected layers, for small images of any size",
            {
                **_PLAIN,
                "generator": "mlp",
                "discriminator": "mlp",
                "objective": "non_saturating",
                "latent": 100,
                "generator_norm": "none",
            },
        ),
    }
)
