"""Limner's own U-Net as one of the diffusers library: the same layers under other names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import require
from ..nn.attention import heads_for
from ..nn.unet import Block, PixelAttention, UNet
from .diffusion import Diffusion, DiffusionConfig
from .pretrained_parts import EXTRA

STEPS = 1000  # the library counts t in these parts, as nn/embedding.py does


@dataclass(frozen=True)
class Pipeline:
    """A pipeline of the library in parts.

    networks   folder -> a network of the library
    settings   file -> its text, or JSON
    index      JSON of the file that names the parts
    """

    networks: Mapping[str, Any]
    settings: Mapping[str, Any]
    index: Mapping[str, Any]


def pipeline_of(model: Diffusion) -> Pipeline | None:
    """A flow-matching model of pixels that is told nothing as U-Net and scheduler; None for others.

    The library's pictures are those of the network, of mean 0: `limner.json` says how they become images.
    """
    config = model.config
    plain = model.first is None and not model.conditioning.width and model.levels == 1
    if not plain or (config.path, config.precondition) != ("linear", "velocity") or not isinstance(model.network, UNet):
        return None
    if len(_head_widths(config)) > 1:  # the library knows one for all resolutions
        return None
    require("diffusers", EXTRA)
    from diffusers import UNet2DModel, __version__

    unet: Any = UNet2DModel(**settings(config, model.data.shape))
    unet.load_state_dict(renamed(model.network))
    named = "FlowMatchEulerDiscreteScheduler"
    scheduler = {"_class_name": named, "num_train_timesteps": STEPS, "shift": 1.0}
    scale = {"scale": float(model.scale) / config.sigma_data, "centre": model.centre.flatten().tolist()}
    parts = {"unet": ["diffusers", "UNet2DModel"], "scheduler": ["diffusers", named]}
    return Pipeline(
        {"unet": unet},
        {"scheduler/scheduler_config.json": scheduler, "limner.json": {"image": "scale x + centre", **scale}},
        {"_class_name": "DiffusionPipeline", "_diffusers_version": __version__, **parts},
    )


def settings(config: DiffusionConfig, shape: tuple[int, int, int]) -> dict[str, Any]:
    """What UNet2DModel must be told to have the layers of a UNet with that config, for images of that (C, H, W)."""
    channels, height, width = shape
    sizes, levels = [config.width * mult for mult in config.mults], range(len(config.mults))
    kinds = ["Attn" if level in config.attention else "" for level in levels]
    return {
        "sample_size": [height, width],
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": sizes,
        "layers_per_block": config.blocks,
        "down_block_types": [f"{kind}DownBlock2D" for kind in kinds],
        "up_block_types": [f"{kind}UpBlock2D" for kind in reversed(kinds)],
        "norm_num_groups": _groups(config.width),
        "attention_head_dim": min(_head_widths(config), default=sizes[-1]),
        "add_attention": bool(kinds[-1]),
        "dropout": config.dropout,
    }


def _head_widths(config: DiffusionConfig) -> set[int]:
    """Channels of an attention head, at the resolutions that have any."""
    sizes = [config.width * mult for level, mult in enumerate(config.mults) if level in config.attention]
    return {size // heads_for(size, config.head_width) for size in sizes}


def _groups(width: int) -> int:
    """Groups of the normalisations, as nn/unet.py has them."""
    return math.gcd(32, max(1, width // 4), width)


def renamed(unet: UNet) -> dict[str, Tensor]:
    """The weights of a UNet that is told nothing but its level, under the names of UNet2DModel."""
    return {f"{place}.{name}": tensor for place, layer in _layers(unet) for name, tensor in layer.items()}


_Layer = tuple[str, Mapping[str, Tensor]]  # its place in the library's network, its weights


def _layers(unet: UNet) -> Iterator[_Layer]:
    """Every layer that has weights."""
    embedding: Any = unet.levels[0].layers
    yield "time_embedding.linear_1", embedding[0].state_dict()
    yield "time_embedding.linear_2", embedding[2].state_dict()
    yield "conv_in", unet.first.state_dict()
    yield from _levels("down_blocks", unet.down, "downsamplers.0.conv")
    yield from _block("mid_block", 0, unet.middle[0])
    yield from _residual("mid_block.resnets.1", unet.middle[1])
    yield from _levels("up_blocks", unet.up, "upsamplers.0.conv")
    yield "conv_norm_out", unet.norm.state_dict()
    yield "conv_out", unet.last.state_dict()


def _levels(place: str, layers: nn.ModuleList, between: str) -> Iterator[_Layer]:
    """The blocks of every resolution, and what leads to the next one."""
    level = index = 0
    for layer in layers:
        if isinstance(layer, Block):
            yield from _block(f"{place}.{level}", index, layer)
            index += 1
        else:
            yield f"{place}.{level}.{between}", getattr(layer, "conv", layer).state_dict()
            level, index = level + 1, 0


def _block(place: str, index: int, block: nn.Module) -> Iterator[_Layer]:
    assert isinstance(block, Block)
    yield from _residual(f"{place}.resnets.{index}", block.residual)
    if block.attention is not None:
        yield from _attention(f"{place}.attentions.{index}", block.attention)


def _residual(place: str, block: nn.Module) -> Iterator[_Layer]:
    names = {"known": "time_emb_proj", "skip": "conv_shortcut"}
    for name, layer in block.named_children():
        yield f"{place}.{names.get(name, name)}", layer.state_dict()


def _attention(place: str, attention: PixelAttention) -> Iterator[_Layer]:
    yield f"{place}.group_norm", attention.norm.state_dict()
    yield f"{place}.to_out.0", attention.itself.out.state_dict()
    parts = {name: tensor.chunk(3) for name, tensor in attention.itself.query.state_dict().items()}
    for index, letter in enumerate("qkv"):
        yield f"{place}.to_{letter}", {name: tensor[index] for name, tensor in parts.items()}
