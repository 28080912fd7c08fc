"""Restoration by its usual names: each a network, and what the images are degraded with unless the user says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_Preset = tuple[str, Mapping[str, Any], Mapping[str, Any]]

_LARGER = {"patch": 96, "degrade": "down:2", "flip": True, "turn": True}
_CLEANER = {"patch": 64, "degrade": "noise:0-55", "flip": True, "turn": True}
_SHARPER = {"patch": 96, "degrade": "blur:1-3,noise:2", "flip": True, "turn": True}
_WHOLE = {"patch": 64, "degrade": "mask:mixed:0.1-0.6", "flip": True, "turn": True}

RESTORERS: Mapping[str, _Preset] = {
    "srnet": (
        "enlarges pictures: thin convolutions on the small picture, on top of bicubic; fast on a laptop",
        {"network": "shuffle", "width": 48, "depth": 8, "squared_from": 0.8},
        _LARGER,
    ),
    "srcnn": (
        "enlarges pictures: three layers on the enlarged picture, the first of its kind",
        {"network": "srcnn"},
        _LARGER,
    ),
    "espcn": (
        "enlarges pictures: three layers on the small picture, pixels from channels",
        {"network": "espcn"},
        _LARGER,
    ),
    "edsr": (
        "enlarges pictures: residual blocks; better and much slower than srnet",
        {"network": "edsr", "width": 64, "depth": 16},
        _LARGER,
    ),
    "denoiser": (
        "removes noise of any strength, told or estimated; also JPEG's marks and the like, as degrade says",
        {"network": "unet", "width": 64, "depth": 1, "squared_from": 0.5},
        _CLEANER,
    ),
    "dncnn": (
        "removes noise: seventeen layers at full size with batch normalisation",
        {"network": "dncnn", "width": 64, "depth": 17},
        {**_CLEANER, "degrade": "noise:25"},
    ),
    "nafnet": (
        "repairs pictures in general: a U-Net with gates, for blur, old photographs and mixed damage",
        {"network": "nafnet", "width": 24, "depth": 2},
        _SHARPER,
    ),
    "inpainter": (
        "fills holes: starts from a smooth filling, and adds what a U-Net sees should go on",
        {"network": "unet", "width": 32, "depth": 2, "fill": True, "loss": "psnr", "hole_weight": 100.0},
        _WHOLE,
    ),
}
