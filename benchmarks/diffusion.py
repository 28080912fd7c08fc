"""A step of diffusion training in Limner's loop, against the same U-Net of diffusers trained by hand.

The peer is what diffusers' own example does without accelerate: UNet2DModel, noise of a DDPM scheduler, mean square
error, AdamW, fp32. The networks have the same layers; what differs is arithmetic, attention and the loop.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from . import pictures
from .figures import Figure, Goal, Settings, speedup
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
    return [speedup(name, timings["limner"], timings["diffusers"], goal=Goal(1.4), note=note)]


def _peer(images: np.ndarray, batch: int, side: int, *, width: int, blocks: int) -> tuple[Callable[[], None], int]:
    """A training step of diffusers' network, and how many parameters it has."""
    from diffusers import DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    network = UNet2DModel(
        sample_size=side,
        in_channels=3,
        out_channels=3,
        layers_per_block=blocks,
        block_out_channels=[width * mult for mult in MULTS],
        down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        attention_head_dim=HEAD,
    )
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
