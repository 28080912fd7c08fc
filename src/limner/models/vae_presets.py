"""The VAEs that have names: what each is, and its settings where they differ from VAEConfig's defaults.

The catalogue reads this, so it imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_BINARY = {
    "network": "mlp",
    "latent": 40,
    "likelihood": "bernoulli",
    "binarize": "dynamic",
    "kl_warmup_images": 300_000,
}

PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "vae": ("convolutional variational autoencoder: stable on small data, soft pictures", {}),
        "beta-vae": ("VAE with a KL term of weight 4: fewer details, latents that mean something", {"beta": 4.0}),
        "mlp-vae": ("fully connected VAE: the fastest model on a CPU, for images of about 28x28", {"network": "mlp"}),
        "binary-vae": (
            "fully connected VAE for black and white images with a learned prior: the best likelihood of the VAEs",
            {**_BINARY, "prior": "coupling"},
        ),
        "iwae": (
            "fully connected VAE for black and white images, trained on five latents an image",
            {**_BINARY, "importance": 5},
        ),
    }
)
