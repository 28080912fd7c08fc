"""Directions of a latent space along which pictures change most, found without labels, for any model that decodes.

They are the principal axes of E[JᵀJ], J the Jacobian of the picture by the latent, over latents as sampling draws them:
what PCA of the first layer (Härkönen et al. 2020, GANSpace, arXiv 2004.02546) and factorising its weights (Shen & Zhou
2021, SeFa, arXiv 2007.06600) approximate for one architecture each. Here the whole decoder counts, whatever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, NotAble
from ..model import Decodes, Model
from ..precise import precise
from ..rng import generator
from ..types import Condition
from .generate import need
from .reconstruct import decode
from .tiles import TILE, device_of, pick

ROUNDS = 12  # of the power iteration; it ends before when the effects no longer change
ENOUGH = 1e-3  # relative change of every effect
AT_ONCE = 16  # dimensions whose responses are held in memory
STEP = 0.05  # of a standard deviation, for differences: kinks of ReLUs average out, curvature hardly counts


@dataclass(frozen=True)
class Directions:
    """Directions, the strongest first.

    vectors   (K, *latent_shape) of length 1; at right angles where all dimensions are drawn with one spread
    scales    (K,) how far along each one standard deviation of the drawn latents reaches
    effects   (K,) root mean square change of a pixel, whose range is 2, for a step of one scale
    """

    vectors: Tensor
    scales: Tensor
    effects: Tensor


def directions(model: Model, latents: Tensor, condition: Condition, *, count: int = 8, seed: int = 0) -> Directions:
    """The `count` strongest directions around `latents` (N, *latent_shape), drawn as for sampling, N ≥ 2.

    Costs about 12 x `count` x N x 4 passes of the decoder, fewer where it settles sooner; 32 latents are enough.
    Raises ConfigError for fewer than 2 latents or more directions than dimensions, NotAble for a model whose decoder
    gives no gradients.
    """
    need(model, Decodes)
    size = _checked(latents, count)
    spread = latents.flatten(1).std(0).clamp_min(1e-12)  # (D,)
    basis = _start(size, count, seed).to(latents)  # (D, K), orthonormal, in units of the spread
    effects = torch.zeros(count)
    for _ in range(ROUNDS):
        pulled = _jacobian_twice(model, latents, condition, spread[:, None] * basis, spread)
        before, effects = effects, _effects(pulled, basis)
        basis = torch.linalg.qr(precise(pulled))[0].to(latents)
        if torch.allclose(before, effects, rtol=ENOUGH, atol=1e-9):
            break
    return _sorted(model, latents, condition, basis, spread)


def axes(model: Model, latents: Tensor, condition: Condition, *, count: int = 8) -> Directions:
    """The `count` single latent dimensions that change pictures most around `latents` (N, *latent_shape), N ≥ 2.

    Costs 2 N decoder passes for each dimension that there is. Raises ConfigError as `directions`.
    """
    need(model, Decodes)
    size = _checked(latents, count)
    spread = latents.flatten(1).std(0)  # (D,)
    squares = torch.cat([_squares(model, latents, condition, steps) for steps in torch.diag(spread).split(AT_ONCE, 1)])
    effects, chosen = squares.sqrt().topk(count)
    vectors = torch.eye(size)[chosen].view(count, *latents.shape[1:])
    return Directions(vectors.to(latents), spread[chosen], effects)


def strips(
    model: Model, latent: Tensor, condition: Condition, found: Directions, *, reach: float = 2.0, steps: int = 7
) -> Tensor:
    """Pictures of one latent (1, *latent_shape) moved along each direction by -reach to reach of its scale.

    returns (K, steps, C, H, W)
    """
    if steps < 2 or not reach > 0:
        raise ConfigError(f"steps={steps}, reach={reach}: a strip needs 2 steps or more and a reach above 0")
    moves = torch.linspace(-reach, reach, steps)[None, :] * found.scales.cpu()[:, None]  # (K, steps)
    shape = (*moves.shape, *[1] * (latent.ndim - 1))
    rows = latent[None] + moves.view(shape).to(latent) * found.vectors[:, None].to(latent)  # (K, steps, *latent_shape)
    pictures = decode(model, rows.flatten(0, 1), pick(condition, [0] * moves.numel()))
    return pictures.view(*moves.shape, *pictures.shape[1:])


def _checked(latents: Tensor, count: int) -> int:
    """D, the numbers of one latent, if there are enough of everything."""
    size = latents[0].numel() if len(latents) else 0
    if len(latents) < 2 or not 1 <= count <= size:
        raise ConfigError(f"{count} directions from {len(latents)} latents of {size} numbers are not possible")
    return size


def _sorted(model: Model, latents: Tensor, condition: Condition, basis: Tensor, spread: Tensor) -> Directions:
    """The axes within the span of `basis` that do not mix, by their effects."""
    gram, pixels = torch.zeros(basis.shape[1], basis.shape[1], dtype=torch.float64), 0
    for moved in _responses(model, latents, condition, spread[:, None] * basis):
        gram, pixels = gram + (precise(moved) @ precise(moved).T).cpu(), pixels + moved.shape[1]
    values, turns = torch.linalg.eigh(gram / pixels)  # mean square change of a pixel for a step of one
    axes = precise(basis) @ precise(turns.flip(1).to(basis))  # (D, K)
    axes = axes * _sign(axes)
    vectors = precise(spread)[:, None] * axes
    scales = vectors.norm(dim=0)
    unit = (vectors / scales).T.reshape(-1, *latents.shape[1:])
    return Directions(unit.to(latents), scales.to(latents), values.flip(0).clamp_min(0).sqrt().float())


def _squares(model: Model, latents: Tensor, condition: Condition, steps: Tensor) -> Tensor:
    """(K,) mean square change of a pixel for a step along each column of `steps` (D, K)."""
    total, pixels = torch.zeros(steps.shape[1]), 0
    for moved in _responses(model, latents, condition, steps):
        total, pixels = total + moved.square().sum(1), pixels + moved.shape[1]
    return total / pixels


def _responses(model: Model, latents: Tensor, condition: Condition, steps: Tensor) -> Iterator[Tensor]:
    """For each tile of latents, (K, pixels) change of its pictures for a step along each column of `steps` (D, K)."""
    for start in range(0, len(latents), TILE):
        tile = latents[start : start + TILE]
        rows = pick(condition, range(start, start + len(tile)))
        parts = []
        for column in steps.T:
            move = STEP * column.view(1, *latents.shape[1:])
            parts.append((decode(model, tile + move, rows) - decode(model, tile - move, rows)).flatten() / (2 * STEP))
        yield torch.stack(parts)


def _jacobian_twice(model: Model, latents: Tensor, condition: Condition, steps: Tensor, spread: Tensor) -> Tensor:
    """(D, K): E[JᵀJ] times each column of a basis, all in units of the spread; J by differences, Jᵀ by gradients."""
    total = torch.zeros_like(steps)
    for index, moved in enumerate(_responses(model, latents, condition, steps)):
        start = index * TILE
        tile = latents[start : start + TILE].detach().clone().requires_grad_(True)
        with torch.enable_grad():
            here = pick(condition, range(start, start + len(tile))).to(device_of(model))
            pictures = model.decode(tile, here)  # type: ignore[operator]
            if not pictures.requires_grad:
                raise NotAble(f"{model.name!r} decodes without gradients, so its directions cannot be found")
            for column, change in enumerate(moved):
                pull = change.view_as(pictures).to(pictures)
                (gradient,) = torch.autograd.grad(pictures, tile, pull, retain_graph=column + 1 < len(moved))
                total[:, column] += gradient.flatten(1).sum(0)
    return spread[:, None] * total / len(latents)


def _effects(pulled: Tensor, basis: Tensor) -> Tensor:
    return (pulled * basis).sum(0).clamp_min(0).sqrt().float().cpu()


def _sign(axes: Tensor) -> Tensor:
    """(K,) such that the largest entry of each column becomes positive: the same direction in every run."""
    largest = axes.abs().argmax(0)
    return torch.where(axes[largest, torch.arange(axes.shape[1])] < 0, -1.0, 1.0)


def _start(size: int, count: int, seed: int) -> Tensor:
    drawn = generator(seed, "directions").standard_normal((size, count))
    return torch.linalg.qr(torch.from_numpy(drawn))[0]
