"""The parts of a pipeline of the diffusers library: its networks, described by their configs as JSON.

Only the classes listed here are ever made, weights come from safetensors alone, and no code of a repository is run. So
a folder from a stranger, and a model folder made of one, are data.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError, require
from ..fetch import OFFLINE, offline
from ..nn.text.clip import ClipText
from ..types import DataSpec

INDEX = "model_index.json"
EXTRA = "diffusers"
NETWORKS = {
    "unet": ("UNet2DModel", "UNet2DConditionModel"),
    "transformer": ("DiTTransformer2DModel", "Transformer2DModel"),
}
_OTHERS = {"vae": ("AutoencoderKL",), "text_encoder": ("CLIPTextModel",)}
_ASIDE = ("scheduler", "tokenizer", "safety_checker", "feature_extractor", "image_encoder")
_WEIGHTS = ("diffusion_pytorch_model", "model")  # without others of the same networks: .fp16, .non_ema …
_NETWORK_FILES = [
    "config.json",
    "*.index.json",
    *(f"{name}{end}.safetensors" for name in _WEIGHTS for end in ("", "-*-of-*")),
]
_FILES = [INDEX, "scheduler/*.json", "tokenizer/*.json", "tokenizer/*.txt"]
_FILES += [f"{part}/{file}" for part in (*NETWORKS, *_OTHERS) for file in _NETWORK_FILES]

Components = dict[str, Any]


@dataclass
class Parts:
    """The networks of a pipeline, on the CPU, float32, in eval mode."""

    network: Any
    vae: Any | None
    text: ClipText | None


# --- what there is --------------------------------------------------------------------------------------------------


def folder_of(source: str) -> Path:
    """The folder itself, or the one that the hub's client keeps. Raises ModelError where it cannot be had."""
    if (folder := Path(source)).is_dir():
        return folder
    require("huggingface_hub", EXTRA)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=_FILES, local_files_only=offline()))
    except Exception as error:  # the client lets out errors of several libraries
        why = f"{OFFLINE} is set, and " if offline() else ""
        raise ModelError(
            f"{source} is no folder, and {why}the hub did not give it: {_first_line(error)}; "
            "download it where you are online, and name the folder"
        ) from error


def described(folder: Path) -> Components:
    """The configs of a pipeline's parts: plain JSON, from which `built` makes the same networks with other weights.

    Raises ModelError for a folder that holds no pipeline, and for one with a part that Limner does not know.
    """
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder} holds no pipeline of diffusers: it has no {INDEX}")
    index = _json(folder / INDEX)
    parts: Components = {"pipeline": index.get("_class_name", "")}
    for name, entry in index.items():
        if isinstance(entry, list) and len(entry) == 2 and entry[1] is not None and name not in _ASIDE:
            parts[name] = _config(folder, name, str(entry[1]))
    if not any(name in parts for name in NETWORKS):
        raise ModelError(f"{folder} holds a {parts['pipeline']}, which has no {' or '.join(NETWORKS)}")
    parts["scheduler"] = _json(folder / "scheduler" / "scheduler_config.json")
    if "text_encoder" in parts:
        parts["tokenizer"] = _tokenizer(folder / "tokenizer")
    if "id2label" in index:
        parts["labels"] = {str(key): str(value) for key, value in index["id2label"].items()}
    check(parts)
    return parts


def fresh(data: DataSpec, *, width: int, mults: tuple[int, ...], classes: int) -> Components:
    """The configs of a small pipeline in pixels, to be trained from nothing; one class more stands for none."""
    sizes = [width * mult for mult in mults]
    levels = len(mults)
    attention = ["Attn" if level == levels - 1 else "" for level in range(levels)]
    unet = {
        "_class_name": "UNet2DModel",
        "sample_size": [data.height, data.width],
        "in_channels": data.channels,
        "out_channels": data.channels,
        "block_out_channels": sizes,
        "layers_per_block": 1,
        "down_block_types": [f"{kind}DownBlock2D" for kind in attention],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(attention)],
        "norm_num_groups": math.gcd(32, max(1, width // 4), width),
        "attention_head_dim": math.gcd(64, sizes[-1]),
        "num_class_embeds": classes + 1 if classes else None,
    }
    scheduler = {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_start": 1e-4,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "prediction_type": "epsilon",
        "clip_sample": True,
        "timestep_spacing": "trailing",
    }
    return {"pipeline": "DDPMPipeline", "unet": unet, "scheduler": scheduler}


def check(parts: Components) -> None:
    """Raise ModelError for a part that is not on the list, or has an input that Limner cannot give it."""
    known = {**NETWORKS, **_OTHERS}
    for name in parts.keys() - {"pipeline", "scheduler", "tokenizer", "labels"}:
        made = parts[name].get("_class_name")
        if name not in known or made not in known[name]:
            raise ModelError(
                f"a pipeline with {name}={made} is not one that Limner reads; it knows "
                + ", ".join(f"{part} ({' or '.join(classes)})" for part, classes in known.items())
            )
    network = network_config(parts)
    for setting in ("class_embed_type", "addition_embed_type", "encoder_hid_dim_type"):
        if network.get(setting):
            raise ModelError(f"the network has {setting}={network[setting]}, an input that Limner does not give")
    reads, encoded = network.get("_class_name") == "UNet2DConditionModel", "text_encoder" in parts
    if reads != encoded:
        which = "reads texts, and there is no" if reads else "reads no text, and there is a"
        raise ModelError(f"the network {which} text encoder")
    given = parts["vae"]["latent_channels"] if "vae" in parts else network["in_channels"]
    if network["in_channels"] != given:
        raise ModelError(
            f"the network takes {network['in_channels']} channels, the autoencoder gives {given}; networks that take "
            "a mask or an image beside the noise are not read"
        )


def network_name(parts: Components) -> str:
    """unet or transformer."""
    return next(name for name in NETWORKS if name in parts)


def network_config(parts: Components) -> dict[str, Any]:
    """The config of the network that denoises."""
    return parts[network_name(parts)]


def class_rows(parts: Components) -> int:
    """Rows of the network's table of classes, that for no class included; 0 without a table."""
    network = network_config(parts)
    if network_name(parts) == "transformer":
        return int(network.get("num_embeds_ada_norm") or 0) + 1
    return int(network.get("num_class_embeds") or 0)


def shrink(parts: Components) -> int:
    """Pixels along the side of one latent; 1 in pixels."""
    return 2 ** (len(parts["vae"]["block_out_channels"]) - 1) if "vae" in parts else 1


def data_of(parts: Components) -> DataSpec:
    """What a pipeline makes: the size it was trained at, and its classes."""
    network = network_config(parts)
    size = network.get("sample_size")
    if size is None:
        raise ModelError("the network's config names no sample_size, so the size of its images is not known")
    height, width = size if isinstance(size, list | tuple) else (size, size)
    channels = parts["vae"]["in_channels"] if "vae" in parts else network["in_channels"]
    times, labels = shrink(parts), parts.get("labels", {})
    null = network_name(parts) == "transformer" or (labels and class_rows(parts) > len(labels))
    names = tuple(labels.get(str(row), str(row)) for row in range(class_rows(parts) - bool(null)))
    return DataSpec(channels, int(height) * times, int(width) * times, classes=names)


# --- networks -------------------------------------------------------------------------------------------------------


def built(parts: Components) -> Parts:
    """The networks of those configs, with random weights. Raises ModelError for configs that describe none."""
    require("diffusers", EXTRA)
    require("transformers", EXTRA)
    check(parts)
    name = network_name(parts)
    try:
        with quiet():
            network = _class(name, parts[name]).from_config(_settings(parts[name]))
            vae = _class("vae").from_config(_settings(parts["vae"])) if "vae" in parts else None
            text = ClipText(_tower(parts["text_encoder"]), parts["tokenizer"]) if "text_encoder" in parts else None
    except Exception as error:  # each network has its own way to refuse a setting
        raise ModelError(
            f"the configs of this {parts['pipeline']} describe no networks: {_first_line(error)}"
        ) from error
    return _ready(network, vae, text)


def _tower(config: Mapping[str, Any]) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig.from_dict(_settings(config)))


def loaded(folder: Path, parts: Components) -> Parts:
    """The networks of a folder with their weights. Raises ModelError where they are not safetensors, or do not fit."""
    require("diffusers", EXTRA)
    require("transformers", EXTRA)
    options: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}
    whole = {**options, "low_cpu_mem_usage": False}  # the other way needs one more package
    name = network_name(parts)
    try:
        with quiet():
            network = _class(name, parts[name]).from_pretrained(folder, subfolder=name, **whole)
            vae = _class("vae").from_pretrained(folder, subfolder="vae", **whole) if "vae" in parts else None
            text = None
            if "text_encoder" in parts:
                from transformers import CLIPTextModel

                tower = CLIPTextModel.from_pretrained(
                    folder / "text_encoder", trust_remote_code=False, dtype=torch.float32, **options
                )
                text = ClipText(tower, parts["tokenizer"])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{folder} holds no weights that Limner can load: {_first_line(error)}; weights are read from "
            ".safetensors files alone"
        ) from error
    return _ready(network, vae, text)


def _class(name: str, config: Mapping[str, Any] | None = None) -> Any:
    import diffusers

    classes = {"transformer": "DiTTransformer2DModel", "vae": "AutoencoderKL"}
    conditional = name == "unet" and (config or {}).get("_class_name") == "UNet2DConditionModel"
    return getattr(diffusers, classes.get(name, "UNet2DConditionModel" if conditional else "UNet2DModel"))


def _ready(network: Any, vae: Any, text: ClipText | None) -> Parts:
    for module in network.modules():
        if type(module).__name__ == "LabelEmbedding":
            module.dropout_prob = 0.0  # conditions are hidden by the model, with keyed randomness
    network = network.float().eval()
    return Parts(network, vae.float().eval().requires_grad_(False) if vae is not None else None, text and text.eval())


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what the library notes about its origin."""
    return {key: value for key, value in config.items() if not key.startswith("_")}


# --- files ----------------------------------------------------------------------------------------------------------


def _config(folder: Path, name: str, made: str) -> dict[str, Any]:
    """The config of one part. Raises ModelError where it is not there."""
    config = _json(folder / name / "config.json")
    if name == "transformer" and config.get("norm_type", "ada_norm_zero") != "ada_norm_zero":
        raise ModelError(f"the transformer has norm_type={config['norm_type']}; Limner reads DiT, with ada_norm_zero")
    kept = {key: value for key, value in config.items() if not key.startswith("_")}
    return {"_class_name": made, **kept}


def _tokenizer(folder: Path) -> dict[str, Any]:
    """A tokenizer as one text, with what else is needed to use it."""
    require("transformers", EXTRA)
    from transformers import CLIPTokenizer

    try:
        found: Any = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        settings = _json(folder / "tokenizer_config.json")
        length = min(int(found.model_max_length), int(settings.get("model_max_length", 77)))
        return {
            "json": found.backend_tokenizer.to_str(),
            "pad": found.pad_token_id,
            "length": length,
            "config": settings,
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder} holds no tokenizer of CLIP: {_first_line(error)}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read as JSON: {_first_line(error)}") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds no settings: it is a {type(found).__name__}")
    return found


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and the advice of the two libraries."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    both: tuple[Any, Any] = (of_diffusers, of_transformers)
    found = [(logging, logging.get_verbosity(), logging.is_progress_bar_enabled()) for logging in both]
    for logging, _, _ in found:
        logging.set_verbosity_error()
        logging.disable_progress_bar()
    try:
        yield
    finally:
        for logging, level, bars in found:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()
