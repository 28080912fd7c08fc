"""Gaussians that a mixture mixes: with a few factors, or with full covariances. families.py has their contract."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..rng import Rng
from .families import FEW, Family, Sums

PCA_ROWS = 1_000  # rows that the first factors are taken from


class FactorFamily(Family):
    """Gaussians whose covariance is that of a few factors, plus independent noise of each pixel.

    A row is mean + loadings @ factors + noise. Costs O(B K D L).
    Source: Ghahramani & Hinton 1996, The EM algorithm for mixtures of factor analyzers, CRG-TR-96-1, with noise of
    its own for each member.
    """

    means: Tensor  # (K, D)
    loadings: Tensor  # (K, D, L)
    noise: Tensor  # (K, D) variances
    background: Tensor  # (D,): the mean of the members' first noise variances

    def __init__(self, members: int, size: int, *, factors: int, least_std: float, smoothing: float) -> None:
        super().__init__(members, smoothing)
        self.floor = least_std**2
        self.register_buffer("means", 0.1 * torch.randn(members, size))
        self.register_buffer("loadings", 0.1 * torch.randn(members, size, factors))
        self.register_buffer("noise", torch.ones(members, size))
        self.register_buffer("background", torch.ones(size))

    def begin(self, rows: Tensor, centres: Tensor) -> None:
        """The factors of all members are the principal components of what the centres leave over.

        Source: Tipping & Bishop 1999, Mixtures of probabilistic principal component analysers, equation 7.
        """
        rest, means = _rest(rows, centres)
        vectors, variances = _principal(rest[:PCA_ROWS], self.loadings.shape[2])  # (D, l), (l,)
        total = rest.square().mean(0)  # (D,)
        left = (total.sum() - variances.sum()).clamp(min=0) / max(1, len(total) - len(variances))
        loadings = vectors * (variances - left).clamp(min=0).sqrt()
        self.means.copy_(means)
        self.loadings[:, :, : loadings.shape[1]] = loadings.to(self.loadings)
        self.background.copy_((total - loadings.square().sum(1)).clamp(min=self.floor))
        self.noise.copy_(self.background.expand_as(self.noise))

    def place(self, members: Tensor, rows: Tensor) -> None:
        self.means[members] = rows.to(self.means)

    def log_prob(self, rows: Tensor) -> Tensor:
        means, noise = self.means.to(rows), self.noise.to(rows)
        seen, root = self._project(rows)  # (K, L, B), (K, L, L)
        explained = torch.linalg.solve_triangular(root, seen, upper=False).square().sum(1).T  # (B, K)
        precision = 1 / noise
        distance = rows.square() @ precision.T - 2 * rows @ (means * precision).T + (means.square() * precision).sum(1)
        volume = noise.log().sum(1) + 2 * root.diagonal(dim1=1, dim2=2).log().sum(1)  # (K,) log determinant
        return -0.5 * (distance - explained + volume + rows.shape[1] * math.log(2 * math.pi))

    def gather(self, rows: Tensor, shares: Tensor) -> dict[str, Tensor]:
        seen, root = self._project(rows)
        spread = torch.cholesky_inverse(root)  # (K, L, L): the factors' covariance given a row
        factors = spread @ seen  # (K, L, B): their mean
        shared = factors * shares.T[:, None]  # (K, L, B)
        mass = shares.sum(0)[:, None, None]
        found = {
            "row": shares.T @ rows,  # (K, D)
            "square": shares.T @ rows.square(),  # (K, D)
            "factor": shared.sum(2),  # (K, L)
            "row_factor": (shared @ rows).transpose(1, 2),  # (K, D, L)
            "factor_factor": shared @ factors.transpose(1, 2) + mass * spread,  # (K, L, L)
        }
        return {name: value / len(rows) for name, value in found.items()}

    def expected(self) -> dict[str, Tensor]:
        factors = self.loadings.shape[2]
        return {
            "row": self.means,
            "square": self.means.square() + self.loadings.square().sum(2) + self.noise,
            "factor": self.means.new_zeros(self.members, factors),
            "row_factor": self.loadings,
            "factor_factor": torch.eye(factors).to(self.means).expand(self.members, -1, -1),
        }

    def maximise(self, mass: Tensor, sums: Sums) -> None:
        """Mean and loadings are one regression of the rows on [factors, 1]. Source: the same, section 3."""
        alive = mass > FEW
        weight, part = mass[alive], {name: value[alive] for name, value in sums.items()}
        side = part["factor"][:, :, None]  # (k, L, 1)
        square = torch.cat(
            [
                torch.cat([part["factor_factor"], side], 2),
                torch.cat([side.transpose(1, 2), weight[:, None, None]], 2),
            ],
            1,
        )  # (k, L + 1, L + 1)
        target = torch.cat([part["row_factor"], part["row"][:, :, None]], 2)  # (k, D, L + 1)
        solution = torch.linalg.solve(square, target.transpose(1, 2)).transpose(1, 2)  # (k, D, L + 1)
        left = part["square"] - (solution * target).sum(2)
        noise = (left + self.smoothing * self.background) / (weight[:, None] + self.smoothing)
        self.means[alive] = solution[:, :, -1].to(self.means)
        self.loadings[alive] = solution[:, :, :-1].to(self.loadings)
        self.noise[alive] = noise.clamp(min=self.floor).to(self.noise)

    def log_prior(self) -> Tensor:
        return -0.5 * self.smoothing * (self.noise.log() + self.background / self.noise).sum()

    def draw(self, chosen: Tensor, rng: Rng, temperature: float, *, noise: bool) -> Tensor:
        factors = temperature * rng.normal(self.loadings.shape[2])  # (B, L)
        row = self.means[chosen] + (self.loadings[chosen] @ factors[:, :, None])[:, :, 0]  # (B, D)
        return row + temperature * self.noise[chosen].sqrt() * rng.normal(row.shape[1]) if noise else row

    def _project(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """What the factors see of rows (B, D), (K, L, B), and the root (K, L, L) of their precision given a row."""
        loadings = self.loadings.to(rows)
        scaled = (loadings / self.noise.to(rows)[:, :, None]).transpose(1, 2)  # (K, L, D)
        seen = scaled @ rows.T - scaled @ self.means.to(rows)[:, :, None]  # (K, L, B)
        precision = scaled @ loadings + torch.eye(loadings.shape[2]).to(rows)
        return seen, torch.linalg.cholesky(precision)


class FullFamily(Family):
    """Gaussians with full covariances. Costs O(B K D^2), and memory for 2 K D^2 numbers."""

    means: Tensor  # (K, D)
    roots: Tensor  # (K, D, D), lower triangular: covariance = root @ root.T
    background: Tensor  # (D, D): the covariance of rows around their first centre

    def __init__(self, members: int, size: int, *, least_std: float, smoothing: float) -> None:
        super().__init__(members, smoothing)
        self.floor = least_std**2
        self.register_buffer("means", 0.1 * torch.randn(members, size))
        self.register_buffer("roots", torch.eye(size).repeat(members, 1, 1))
        self.register_buffer("background", torch.eye(size))

    def begin(self, rows: Tensor, centres: Tensor) -> None:
        rest, means = _rest(rows, centres)
        covariance = rest.T @ rest / len(rest)
        self.means.copy_(means)
        self.background.copy_(covariance)
        self.roots.copy_(_root(covariance, self.floor).expand_as(self.roots))

    def place(self, members: Tensor, rows: Tensor) -> None:
        self.means[members] = rows.to(self.means)

    def log_prob(self, rows: Tensor) -> Tensor:
        columns = []
        for mean, root in zip(self.means.to(rows), self.roots.to(rows), strict=True):
            distance = torch.linalg.solve_triangular(root, (rows - mean).T, upper=False).square().sum(0)  # (B,)
            volume = 2 * root.diagonal().log().sum() + len(mean) * math.log(2 * math.pi)
            columns.append(-0.5 * (distance + volume))
        return torch.stack(columns, 1)

    def gather(self, rows: Tensor, shares: Tensor) -> dict[str, Tensor]:
        squares = [(rows * share[:, None]).T @ rows / len(rows) for share in shares.T]
        return {"row": shares.T @ rows / len(rows), "row_row": torch.stack(squares)}  # (K, D), (K, D, D)

    def expected(self) -> dict[str, Tensor]:
        outer = self.means[:, :, None] * self.means[:, None]
        return {"row": self.means, "row_row": self.roots @ self.roots.transpose(1, 2) + outer}

    def maximise(self, mass: Tensor, sums: Sums) -> None:
        for member in torch.nonzero(mass > FEW)[:, 0].tolist():
            weight, mean = mass[member], sums["row"][member] / mass[member]
            around = sums["row_row"][member] - weight * torch.outer(mean, mean)
            covariance = (around + self.smoothing * self.background) / (weight + self.smoothing)
            self.means[member] = mean.to(self.means)
            self.roots[member] = _root(covariance, self.floor).to(self.roots)

    def log_prior(self) -> Tensor:
        background = self.background.expand_as(self.roots)
        trace = torch.cholesky_solve(background, self.roots).diagonal(dim1=1, dim2=2).sum()
        return -0.5 * self.smoothing * (2 * self.roots.diagonal(dim1=1, dim2=2).log().sum() + trace)

    def draw(self, chosen: Tensor, rng: Rng, temperature: float, *, noise: bool) -> Tensor:
        normal = temperature * rng.normal(self.means.shape[1])  # (B, D)
        # one product for each row: a draw does not depend on its neighbours, and (B, D, D) is never held
        draws = zip(chosen.tolist(), normal, strict=True)
        return torch.stack([self.means[member] + self.roots[member] @ row for member, row in draws])


def _rest(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) rows less the mean of the rows that have the same nearest centre, and those means (K, D)."""
    nearest = torch.cdist(rows, centres).argmin(1)
    belongs = torch.nn.functional.one_hot(nearest, len(centres)).to(rows)  # (N, K)
    counts = belongs.sum(0)[:, None]
    means = torch.where(counts > 0, belongs.T @ rows / counts.clamp(min=1), centres)
    return rows - means[nearest], means


def _principal(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first principal directions (D, l) of centred rows and the variances (l,) along them; l is `count` or less."""
    wide = len(rows) < rows.shape[1]
    square = rows @ rows.T if wide else rows.T @ rows
    values, vectors = torch.linalg.eigh(square)
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    enough = values > 1e-9 * values.clamp(min=1e-12).max()
    values, vectors = values[enough], vectors[:, enough]
    directions = rows.T @ vectors / values.sqrt() if wide else vectors
    return directions, values / len(rows)


def _root(covariance: Tensor, floor: float) -> Tensor:
    """Cholesky factor of a covariance whose eigenvalues are raised to `floor` where they are below it.

    That is the most likely covariance among those with no smaller eigenvalues.
    """
    eye = torch.eye(len(covariance)).to(covariance)
    if torch.linalg.cholesky_ex(covariance - floor * eye).info:  # some eigenvalue is below the floor
        values, vectors = torch.linalg.eigh(covariance)
        # a hair above it: below, rounding could leave what cannot be factored
        covariance = (vectors * values.clamp(min=floor * (1 + 1e-6))) @ vectors.T
    return torch.linalg.cholesky(covariance)
