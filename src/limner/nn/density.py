"""A density over latents that is fitted after training, so that a model samples where its encoder puts images.

A mixture of Gaussians with full covariances, by expectation-maximisation; one component is a plain Gaussian. What was
fitted lies in buffers of fixed shape, so it is saved and loaded with the weights. It learns no gradient.
Source: Ghosh et al. 2019, From variational to deterministic autoencoders, arXiv 1903.12436, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ConfigError, NotAble
from ..precise import precise
from ..rng import Rng, generator

MAX_ROWS = 20_000  # latents that a fit looks at; more would cost time and change nothing
MAX_ROUNDS = 60
ENOUGH = 1e-3  # nats per latent: a smaller gain in a round ends the fit
REGULARISE = 1e-4  # share of the mean variance that is added to the diagonal of every covariance


class LatentDensity(nn.Module):
    """A mixture of `components` Gaussians over latents of length `size`; not fitted when new."""

    weights: Tensor  # (K,), summing to 1
    means: Tensor  # (K, D)
    factors: Tensor  # (K, D, D), lower triangular: covariance = factor @ factor.T
    fitted: Tensor  # bool

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        if size < 1 or components < 1:
            raise ConfigError(f"a density needs a latent and a component; got latent={size}, components={components}")
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("means", torch.zeros(components, size))
        self.register_buffer("factors", torch.eye(size).repeat(components, 1, 1))
        self.register_buffer("fitted", torch.tensor(False))

    @torch.no_grad()
    def fit(self, latents: Tensor, seed: int) -> list[float]:
        """Fit to (N, D) latents, of which the first 20,000 count.

        Returns the mean log likelihood in nats of each round, which never falls. A round costs O(N K D^2).
        Raises ConfigError for latents that are none, not finite, or of another length.
        """
        rows = self._check(latents)[:MAX_ROWS].detach().cpu().double()  # (N, D)
        mixture = _start(rows, min(len(self.weights), len(rows)), seed)
        joint = mixture.log_joint(rows)  # (N, K)
        history = [float(joint.logsumexp(1).mean())]
        while len(history) < MAX_ROUNDS:
            proposal = _maximise(rows, joint.softmax(1), mixture.floor)
            joint = proposal.log_joint(rows)
            gain = float(joint.logsumexp(1).mean()) - history[-1]
            if gain < ENOUGH:  # below 0 too: the floor under the variances can cost a little likelihood
                break
            mixture = proposal
            history.append(history[-1] + gain)
        self._store(mixture)
        return history

    @torch.no_grad()
    def log_prob(self, latents: Tensor) -> Tensor:
        """(N, D) -> (N,) log density in nats. Raises NotAble before `fit`."""
        self._need_fit()
        mixture = _Mixture(precise(self.weights), precise(self.means), precise(self.factors), floor=0.0)
        return mixture.log_joint(precise(latents)).logsumexp(1).float()

    def sample(self, rng: Rng, temperature: float = 1.0) -> Tensor:
        """(rng.rows, D) draws; `temperature` scales how far they stray from their component's mean.

        Raises NotAble before `fit`.
        """
        self._need_fit()
        ends = self.weights.cumsum(0)
        chosen = torch.searchsorted(ends, rng.uniform() * ends[-1], right=True).clamp(max=len(ends) - 1)  # (B,)
        noise = temperature * rng.normal(self.means.shape[1])  # (B, D)
        # one product for each row: a draw does not depend on its neighbours, and (B, D, D) is never held
        draws = zip(chosen.tolist(), noise, strict=True)
        return torch.stack([self.means[component] + self.factors[component] @ row for component, row in draws])

    def _need_fit(self) -> None:
        if not self.fitted:
            raise NotAble(
                "the density over this model's latents has not been fitted; call "
                "model.fit_density(latents, seed) with encoded training images, or sample with density=prior "
                "if the model has a prior"
            )

    def _check(self, latents: Tensor) -> Tensor:
        size = self.means.shape[1]
        if latents.ndim != 2 or latents.shape[1] != size or not len(latents):
            raise ConfigError(f"latents of shape {tuple(latents.shape)} cannot be fitted; give (N, {size}) with N > 0")
        if not torch.isfinite(latents).all():
            raise ConfigError("some latents are not finite, so no density fits them; train with a lower learning rate")
        return latents

    def _store(self, mixture: _Mixture) -> None:
        """Keep the mixture; components that too few latents left unused get weight 0."""
        count = len(mixture.weights)
        self.weights.zero_()[:count] = mixture.weights.to(self.weights)
        self.means[:count] = mixture.means.to(self.means)
        self.factors[:count] = mixture.factors.to(self.factors)
        self.fitted.fill_(True)


class LatentDensities(nn.Module):
    """The two densities that an autoencoder may sample from: `gaussian` and `mixture`, fitted together."""

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        self.gaussian, self.mixture = LatentDensity(size, 1), LatentDensity(size, components)

    def fit(self, latents: Tensor, seed: int) -> None:
        """Fit both to (N, D) latents."""
        self.gaussian.fit(latents, seed)
        self.mixture.fit(latents, seed)

    def sample(self, density: Literal["gaussian", "mixture"], rng: Rng, temperature: float) -> Tensor:
        """(rng.rows, D) draws from the density of that name; raises NotAble before `fit`."""
        return (self.gaussian if density == "gaussian" else self.mixture).sample(rng, temperature)


@dataclass(frozen=True)
class _Mixture:
    """Weights (K,), means (K, D) and Cholesky factors (K, D, D) in float64; `floor` is added to every variance."""

    weights: Tensor
    means: Tensor
    factors: Tensor
    floor: float

    def log_joint(self, rows: Tensor) -> Tensor:
        """(N, D) -> (N, K): log of weight times density."""
        parts = [self._log_density(rows, mean, factor) for mean, factor in zip(self.means, self.factors, strict=True)]
        return torch.stack(parts, dim=1) + self.weights.log()  # (N, K)

    def _log_density(self, rows: Tensor, mean: Tensor, factor: Tensor) -> Tensor:
        whitened = torch.linalg.solve_triangular(factor, (rows - mean).T, upper=False)  # (D, N)
        log_volume = factor.diagonal().log().sum() + 0.5 * len(mean) * math.log(2 * math.pi)
        return -0.5 * whitened.square().sum(0) - log_volume


def _start(rows: Tensor, components: int, seed: int) -> _Mixture:
    """Each latent wholly in the component of the nearest of `components` well-spread latents."""
    centres = rows[_spread(rows.numpy(), components, seed)]  # (K, D)
    nearest = torch.cdist(rows, centres).argmin(1)
    # variances of latents that are all alike are 0; 1e-6 keeps a covariance that can be factored
    floor = REGULARISE * float(rows.var(0, correction=0).mean()) + 1e-6
    return _maximise(rows, torch.nn.functional.one_hot(nearest, components).double(), floor)


def _spread(rows: np.ndarray, components: int, seed: int) -> list[int]:
    """Indices of rows far from one another: k-means++ (Arthur & Vassilvitskii 2007), with a keyed random source."""
    random = generator(seed, "density")
    chosen = [int(random.integers(len(rows)))]
    distance = np.full(len(rows), np.inf)
    while len(chosen) < components:
        distance = np.minimum(distance, np.square(rows - rows[chosen[-1]]).sum(1))
        total = distance.sum()
        weights = distance / total if total > 0 else None  # all latents alike: any of them will do
        chosen.append(int(random.choice(len(rows), p=weights)))
    return chosen


def _maximise(rows: Tensor, shares: Tensor, floor: float) -> _Mixture:
    """The mixture that is most likely given each latent's shares (N, K) in the components."""
    counts = shares.sum(0) + 1e-10  # (K,)
    means = (shares.T @ rows) / counts[:, None]  # (K, D)
    factors = torch.stack([_factor(rows - mean, share, floor) for mean, share in zip(means, shares.T, strict=True)])
    return _Mixture(counts / counts.sum(), means, factors, floor)


def _factor(centred: Tensor, share: Tensor, floor: float) -> Tensor:
    """(D, D) Cholesky factor of the weighted covariance, with `floor` added to the diagonal."""
    covariance = (centred * share[:, None]).T @ centred / (share.sum() + 1e-10)
    return torch.linalg.cholesky(covariance + floor * torch.eye(centred.shape[1], dtype=torch.float64))
