"""A step of diffusion training in Limner's loop, and one of sampling, against the same U-Net of diffusers by hand.

The peer is what diffusers' own example does without accelerate: UNet2DModel, noise of a DDPM scheduler, mean square
error, AdamW, fp32. The networks have the same layers; what differs is arithmetic, attention and the loop. A step of
sampling is one evaluation of the network, the rest being a few sums, run by torch or by OpenVINO, in fp32 or in bf16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from limner import models
from limner.types import Condition, DataSpec

from . import pictures
from .features import has_bf16
from .figures import Figure, Goal, Settings, speedup
from .measure import Timing, alternate
from .training import Job, prepare, race

WIDTH, MULTS, BLOCKS, HEAD = 64, (1, 2, 2), 2, 8
NET = {"width": WIDTH, "mults": MULTS, "blocks": BLOCKS, "attention": (1,), "head_width": HEAD, "conditional": "none"}


def run(settings: Settings) -> list[Figure]:
    side, batch = settings.pick(32, 8), settings.pick(16, 4)
    images = pictures.colours(settings.pick(2_000, 64), side)
    net = NET if not settings.quick else NET | {"width": 32, "blocks": 1}
    prepared = prepare(Job("ddpm", images, batch, net))
    peer, size = _peer(images, batch, side, width=net["width"], blocks=net["blocks"])
    ours = sum(parameter.numel() for parameter in prepared.model.parameters())
    steps = settings.pick(3, 1)
    timings = race(
        prepared,
        {"diffusers": lambda: [peer() for _ in range(steps)]},
        rounds=settings.pick(9, 2),
        steps=steps,
        folder=settings.folder / "run",
    )
    note = (
        f"{ours / 1e6:.2f} M parameters, diffusers' {size / 1e6:.2f} M; Limner in {prepared.words}, diffusers in fp32"
    )
    name = f"U-Net, {side}×{side}×3, batch {batch}: Limner's loop against diffusers' network by hand"
    training = speedup(name, timings["limner"], timings["diffusers"], goal=Goal(1.4), note=note)
    return [training, *_sampling(settings, net, side)]


def _sampling(settings: Settings, net: Mapping[str, Any], side: int) -> list[Figure]:
    """Evaluations of new networks on eight images."""
    torch.manual_seed(0)
    model = models.build("ddpm", models.configure("ddpm", net), DataSpec(3, side, side)).eval()
    for parameter in model.parameters():
        if not parameter.any():  # a new network says nothing, and so would be exact in any precision
            torch.nn.init.normal_(parameter, std=0.02)
    network = _network(side, width=net["width"], blocks=net["blocks"]).eval()
    x, sigma, time = torch.randn(8, 3, side, side), torch.ones(8), torch.full((8,), 10)
    see = {
        f"{engine} {precision}": model.denoiser(Condition(), model.Options(engine=engine, precision=precision), 8)
        for engine, precision in _ways()
    }
    jobs = {name: (lambda each=each: ignore(each(x, sigma))) for name, each in see.items()}
    with torch.inference_mode():
        exact = see["torch fp32"](x, sigma)
        off = {name: float((each(x, sigma) - exact).norm() / exact.norm()) for name, each in see.items()}
        seconds = alternate({**jobs, "diffusers": lambda: ignore(network(x, time).sample)}, rounds=settings.pick(9, 2))
    found = {name: Timing(name, taken, 8) for name, taken in seconds.items()}
    goals = {"openvino bf16": Goal(2.5)} if has_bf16() else {"openvino fp32": Goal(1.35)}  # where time matters
    return [
        speedup(
            f"sampling: the same network, once, by {name} against diffusers' in fp32, {side}×{side}×3, batch 8",
            found[name],
            found["diffusers"],
            goal=goals.get(name),
            note=f"{off[name]:.1e} off (L2, relative)",
        )
        for name in see
    ]


def _ways() -> list[tuple[str, str]]:
    """Engines and precisions that this processor has."""
    ways = [("torch", "fp32"), ("torch", "bf16"), ("openvino", "fp32")]
    return [*ways, ("openvino", "bf16")] if has_bf16() else ways


def ignore(result: object) -> None:
    """A result would be taken for a time."""


def _peer(images: np.ndarray, batch: int, side: int, *, width: int, blocks: int) -> tuple[Callable[[], None], int]:
    """A training step of diffusers' network, and how many parameters it has."""
    from diffusers import DDPMScheduler

    torch.manual_seed(0)
    network = _network(side, width=width, blocks=blocks)
    scheduler = DDPMScheduler()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()

    def step() -> None:
        image = stored[torch.randint(len(stored), (batch,))].float().div_(127.5).sub_(1)
        noise, time = torch.randn_like(image), torch.randint(1_000, (batch,))
        seen = network(scheduler.add_noise(image, noise, time), time).sample
        optimizer.zero_grad()
        F.mse_loss(seen, noise).backward()
        optimizer.step()

    return step, sum(parameter.numel() for parameter in network.parameters())


def _network(side: int, *, width: int, blocks: int) -> torch.nn.Module:
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=side,
        in_channels=3,
        out_channels=3,
        layers_per_block=blocks,
        block_out_channels=[width * mult for mult in MULTS],
        down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        attention_head_dim=HEAD,
    )
