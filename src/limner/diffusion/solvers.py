"""Solvers: from noise to an image along a path, with any denoiser.

Each is a function of (denoiser, noise, path, times), deterministic but for those that take noise on the way. The rows
of a batch never meet. `noise` is standard normal, (B, C, H, W); `times` run down to 0 (paths.times); the result is the
image, (B, C, H, W). A solver of order p errs by O(steps^-p).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from ..errors import ConfigError, unknown
from ..precise import finest, precise
from ..rng import Rng
from .denoiser import Denoiser
from .paths import SMALLEST, Path

SolverName = Literal["euler", "heun", "midpoint", "dpm", "ddim", "ancestral", "rk45"]


def solve(
    name: SolverName, denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor, rng: Rng, *, tolerance: float = 1e-3
) -> Tensor:
    """Run the solver called `name`.

    euler, heun, midpoint   of order 1, 2, 2, on straight pieces of the path; the last two evaluate twice a step
    dpm                     DPM-Solver++ 2M, order 2, one evaluation a step (Lu et al. 2022, arXiv 2211.01095)
    ddim                    order 1, exact where the denoiser's answer stands still (Song et al. 2021, arXiv 2010.02502)
    ancestral               ddim with fresh noise at each step (Ho et al. 2020, arXiv 2006.11239)
    rk45                    Dormand-Prince with its own steps, within `tolerance`; ignores the times between the ends
    """
    if name == "ancestral":
        return ddim(denoiser, noise, path, times, rng=rng, eta=1.0)
    if name == "rk45":
        return rk45(denoiser, noise, path, start=float(times[0]), tolerance=tolerance)
    if name not in _DETERMINISTIC:
        raise ConfigError(unknown("solver", name, [*_DETERMINISTIC, "ancestral", "rk45"]))
    return _DETERMINISTIC[name](denoiser, noise, path, times)


# --- steps along the path -------------------------------------------------------------------------------------------


def velocity(denoiser: Denoiser, path: Path, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """dx/dt of the probability flow at (B, ...) x and (B,) times, and the denoised image it follows from."""
    image, noise = split(denoiser, path, x, time)
    return _times(image, path.image_slope(time)) + _times(noise, path.noise_slope(time)), image


def split(denoiser: Denoiser, path: Path, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """The image and the noise that (B, ...) x at (B,) times is made of, as the denoiser sees it; float32 each."""
    share = path.image(time).clamp(min=SMALLEST)
    image = denoiser(_times(x, 1 / share), (path.noise(time) / share).float())
    return image, _times(x - _times(image, share), 1 / path.noise(time))


def euler(denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor) -> Tensor:
    """First order."""
    x = _start(noise, path, times)
    for now, then in _pairs(times, x):
        slope, _ = velocity(denoiser, path, x, now)
        x = x + _times(slope, then - now)
    return x


def heun(denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor) -> Tensor:
    """Second order; the last step, to t = 0, is Euler's. Source: Karras et al. 2022, arXiv 2206.00364, algorithm 1."""
    x = _start(noise, path, times)
    for now, then in _pairs(times, x):
        slope, _ = velocity(denoiser, path, x, now)
        moved = x + _times(slope, then - now)
        if float(then[0]) > 0:
            again, _ = velocity(denoiser, path, moved, then)
            moved = x + _times((slope + again) / 2, then - now)
        x = moved
    return x


def midpoint(denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor) -> Tensor:
    """Second order."""
    x = _start(noise, path, times)
    for now, then in _pairs(times, x):
        slope, _ = velocity(denoiser, path, x, now)
        halfway = x + _times(slope, (then - now) / 2)
        slope, _ = velocity(denoiser, path, halfway, (now + then) / 2)
        x = x + _times(slope, then - now)
    return x


def ddim(
    denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor, *, rng: Rng | None = None, eta: float = 0.0
) -> Tensor:
    """The image and the noise seen in x, recombined at the next level; `eta` of the posterior's noise is fresh.

    Source: Song et al. 2021, arXiv 2010.02502, equations 12 and 16.
    """
    x = _start(noise, path, times)
    for now, then in _pairs(times, x):
        image, seen = split(denoiser, path, x, now)
        fresh = _fresh_share(path, now, then) * eta
        kept = (1 - fresh.square()).clamp(min=0).sqrt()
        if eta and float(then[0]) > 0:
            assert rng is not None, "fresh noise needs a random source"
            seen = _times(seen, kept) + _times(rng.normal(*x.shape[1:]), fresh)
        x = _times(image, path.image(then)) + _times(seen, path.noise(then))
    return x


def _fresh_share(path: Path, now: Tensor, then: Tensor) -> Tensor:
    """(B,) the share of the next level's noise that the posterior draws anew: sqrt(1 - sigma'^2 / sigma^2)."""
    return (1 - (path.sigma(then) / path.sigma(now)).square()).clamp(min=0).sqrt()


def dpm(denoiser: Denoiser, noise: Tensor, path: Path, times: Tensor) -> Tensor:
    """DPM-Solver++ 2M: the image extrapolated from this and the last step, linear in log sigma.

    Source: Lu et al. 2022, arXiv 2211.01095, algorithm 2, in coordinates of x / a(t).
    """
    x = _start(noise, path, times)
    before, width_before = None, None
    for now, then in _pairs(times, x):
        image, _ = split(denoiser, path, x, now)
        sigma, sigma_then = path.sigma(now), path.sigma(then)
        aimed = image
        width = torch.log(sigma / sigma_then.clamp(min=1e-12))
        if before is not None and width_before is not None and float(then[0]) > 0:
            ratio = width / (2 * width_before)
            aimed = _times(image, 1 + ratio) - _times(before, ratio)
        shrunk = sigma_then / sigma
        share = path.image(now).clamp(min=SMALLEST)
        x = _times(_times(x, shrunk / share) + _times(aimed, 1 - shrunk), path.image(then))
        before, width_before = image, width
    return x


# --- adaptive steps -------------------------------------------------------------------------------------------------

# Source: Dormand & Prince 1980, A family of embedded Runge-Kutta formulae, table 2
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_WEIGHTS = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
_MOST, _SMALLEST = 10_000, 1e-14  # steps, and the length of one below which it is given up


def rk45(denoiser: Denoiser, noise: Tensor, path: Path, *, start: float, tolerance: float = 1e-3) -> Tensor:
    """Adaptive order 5(4), then one denoising step from sigma_min."""
    stop = float(path.time_of(torch.tensor(path.sigma_min, dtype=torch.float64)))
    first = torch.full((len(noise),), start, dtype=finest(noise.device), device=noise.device)
    x = _times(noise, path.noise(first))

    def slope(x: Tensor, time: Tensor) -> Tensor:
        return velocity(denoiser, path, x, time)[0]

    x = integrate(slope, x, start, stop, tolerance=tolerance)
    return split(denoiser, path, x, torch.full_like(first, stop))[0]


def integrate(
    slope: Callable[[Tensor, Tensor], Tensor], x: Tensor, start: float, stop: float, *, tolerance: float
) -> Tensor:
    """x at `stop` of dx/dt = slope(x, t), from (B, ...) x at `start`, within `tolerance` (absolute and relative).

    Every row has steps of its own, so that no row's result depends on the others. Raises ConfigError after 10,000.
    """
    time = torch.full((len(x),), start, dtype=finest(x.device), device=x.device)
    step = (stop - start) * 0.01 * torch.ones_like(time)
    for _ in range(_MOST):
        left = stop - time
        done = left.abs() <= 1e-12 * max(1.0, abs(stop - start))
        if bool(done.all()):
            return x
        step = torch.where(step.abs() > left.abs(), left, step)
        moved, error = _attempt(slope, x, time, torch.where(done, torch.zeros_like(step), step), tolerance)
        accepted = (error <= 1) & ~done
        x = torch.where(accepted.view(-1, *[1] * (x.ndim - 1)), moved, x)
        time = torch.where(accepted, torch.where(step == left, torch.full_like(time, stop), time + step), time)
        step = step * (0.9 * error.clamp(min=1e-10) ** -0.2).clamp(0.2, 5.0)
        if bool((step[~done].abs() < _SMALLEST).any()):
            break
    raise ConfigError(f"tolerance={tolerance} was not met within {_MOST} steps, however short; use a larger one")


def _attempt(
    slope: Callable[[Tensor, Tensor], Tensor], x: Tensor, time: Tensor, step: Tensor, tolerance: float
) -> tuple[Tensor, Tensor]:
    """One step of every row: the fifth-order result, and (B,) its error over the tolerated one."""
    slopes: list[Tensor] = []
    for node, weights in zip(_NODES, _WEIGHTS, strict=True):
        point = x + _times(_combined(weights, slopes), step) if slopes else x
        slopes.append(slope(point, time + node * step))
    moved = x + _times(_combined(_WEIGHTS[-1], slopes[:-1]), step)
    other = x + _times(_combined(_FOURTH, slopes), step)
    scale = tolerance * (1 + torch.maximum(x.abs(), moved.abs()))
    error = ((moved - other) / scale).square().flatten(1).mean(1).sqrt()
    return moved, torch.where(error.isnan(), float("inf"), precise(error))


def _combined(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = torch.zeros_like(slopes[0])
    for weight, one in zip(weights, slopes, strict=True):
        total = total + weight * one if weight else total
    return total


# --- helpers --------------------------------------------------------------------------------------------------------


def _start(noise: Tensor, path: Path, times: Tensor) -> Tensor:
    """Where sampling starts: noise alone, at the path's first level."""
    return noise * float(path.noise(times[:1]))


def _pairs(times: Tensor, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Consecutive times, each as (B,) on the device of x, in its finest floats."""
    rows = [time.to(x.device, finest(x.device)).expand(len(x)) for time in times]
    return list(zip(rows, rows[1:], strict=False))


def _times(x: Tensor, scale: Tensor) -> Tensor:
    """(B, ...) times (B,), row by row, in the type of x."""
    return x * scale.to(x.dtype).view(-1, *[1] * (x.ndim - 1))


_DETERMINISTIC: dict[str, Callable[[Denoiser, Tensor, Path, Tensor], Tensor]] = {
    "euler": euler,
    "heun": heun,
    "midpoint": midpoint,
    "dpm": dpm,
    "ddim": ddim,
}
