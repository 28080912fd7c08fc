"""What the files of a diffusers pipeline hold, for the models that have a counterpart there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import nn

from ..model import Model
from . import pretrained_parts, unet_export
from .diffusion import Diffusion
from .pretrained import Pretrained
from .unet_export import Pipeline

_LIBRARY = {"text_encoder": "transformers", "tokenizer": "transformers"}
_MADE = {"transformer": "DiTTransformer2DModel", "tokenizer": "CLIPTokenizer"}


def pipeline_of(model: Model) -> Pipeline | None:
    """The model as a pipeline; None where there is no counterpart."""
    if isinstance(model, Pretrained):
        return _of_pretrained(model)
    return unet_export.pipeline_of(model) if isinstance(model, Diffusion) else None


def _of_pretrained(model: Pretrained) -> Pipeline:
    components = model.config.parts
    networks: dict[str, nn.Module] = {pretrained_parts.network_name(components): model.network}
    if model.vae is not None:
        networks["vae"] = model.vae
    if model.text is not None:
        networks["text_encoder"] = model.text.tower
    settings: dict[str, Any] = {"scheduler/scheduler_config.json": components["scheduler"]}
    if "tokenizer" in components:
        settings |= _tokenizer(components["tokenizer"])
    return Pipeline(networks, settings, _index(components, model.data.classes))


def _index(components: pretrained_parts.Components, classes: tuple[str, ...]) -> dict[str, Any]:
    from diffusers import __version__ as version

    index: dict[str, Any] = {"_class_name": components["pipeline"], "_diffusers_version": version}
    for name in components.keys() - {"pipeline", "labels"}:
        made = _MADE.get(name) or components[name]["_class_name"]
        index[name] = [_LIBRARY.get(name, "diffusers"), made]
    if "text_encoder" in components:
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}
    if classes and pretrained_parts.class_rows(components):
        index["id2label"] = {str(place): name for place, name in enumerate(classes)}
    return index


def _tokenizer(tokenizer: Mapping[str, Any]) -> dict[str, Any]:
    """Its files: as one, and in the two older ones that other versions of the library read."""
    model = json.loads(tokenizer["json"])["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return {
        "tokenizer/tokenizer.json": tokenizer["json"],
        "tokenizer/tokenizer_config.json": tokenizer["config"],
        "tokenizer/vocab.json": model["vocab"],
        "tokenizer/merges.txt": "\n".join(["#version: 0.2", *merges, ""]),
    }
