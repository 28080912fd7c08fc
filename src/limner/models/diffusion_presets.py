"""The diffusion models with names: combinations of the parts of diffusion.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EDM: dict[str, Any] = {
    "path": "edm",
    "precondition": "edm",
    "levels": "lognormal",
    "level_mean": -1.2,
    "level_std": 1.2,
}
_TRANSFORMER: dict[str, Any] = {"backbone": "dit", "width": 192, "patch": 4}
_LATENT: dict[str, Any] = {
    "first": "latent-ae",
    "backbone": "mlp",  # a few hundred numbers: 60 times the images a second of a transformer over them (docs/log.md)
    "width": 1024,
    "depth": 4,
    "patch": None,
    "sigma_data": 1.0,
}

PIXELS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "flow": ("flow matching with a U-Net: the modern default of diffusion models", {}),
    "edm": ("diffusion as in EDM, with a U-Net: the recipe with the best published numbers on small images", _EDM),
    "ddpm": (
        "the classical diffusion model: predicts the noise, on a cosine path",
        {"path": "cosine", "precondition": "noise", "levels": "uniform"},
    ),
    "dit": ("flow matching with a transformer over patches: more images a second on a CPU", _TRANSFORMER),
    "flow-mlp": ("flow matching without convolutions, for small images: fastest", {"backbone": "mlp", "width": 1024}),
}
LATENTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "latent-flow": (
        "flow matching in the latents of an autoencoder, which is trained first by the same command",
        _LATENT,
    ),
    "text-flow": (
        "text to image: flow matching in the latents of an autoencoder, told the captions",
        {**_LATENT, "text": "auto"},
    ),
}
SHORTCUTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "shortcut": ("flow matching that makes images in 1 to 8 steps", {"backbone": "dit", "width": 192, "patch": 4}),
    "latent-shortcut": ("the same in the latents of an autoencoder: fastest to train, and to sample", _LATENT),
}
CONSISTENCY: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "consistency": ("a diffusion model, trained first, then tuned to make images in 1 or 2 steps", {}),
}
