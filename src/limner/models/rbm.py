"""Restricted Boltzmann machines, plain and conditional, by contrastive divergence or persistent chains.

The loss of a training step is the mean free energy of the data less that of what the machine draws; its gradient is
minus that of the log likelihood, which the loop's optimiser then climbs. Its value says nothing of how well the machine
does, so in eval mode the loss is minus the log pseudo-likelihood, which needs no normaliser.
nn/boltzmann.py has the machine, nn/annealed.py its normaliser.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..losses.likelihood import binarize
from ..model import Loss, Model, SampleOptions, Step
from ..nn.annealed import LogPartition, Path, log_partition
from ..nn.boltzmann import Machine
from ..nn.condition import ConditionEncoder, hide, unconditional
from ..precise import precise
from ..rng import Rng, generator
from ..types import Batch, Condition, DataSpec
from . import checks

NOISE_BLOCK = 32  # Gibbs steps whose noise is drawn at once
SCORED_PIXELS = 256  # that a pseudo-likelihood is estimated from
RENEWED = 1 / 128  # share of the persistent chains that are given new conditions in each step
BASE = 0.01  # least base rate of a pixel
MOST_CLASSES = 32  # that are scored each with a normaliser of its own


@dataclass(frozen=True)
class RBMConfig:
    """Settings of a restricted Boltzmann machine."""

    hidden: int = setting("hidden units", 500)
    negative: Literal["persistent", "contrastive"] = setting(
        "what is drawn from the machine: chains that go on from step to step (PCD), or from the batch (CD)",
        "persistent",
    )
    gibbs_steps: int = setting("Gibbs steps of these draws in each training step", 1)
    chains: int = setting("persistent chains", 128)
    binarize: Literal["none", "dynamic"] = setting("dynamic: draw black and white pixels anew each step", "dynamic")
    annealing_chains: int = setting("chains of annealed importance sampling, for log Z", 100)
    annealing_steps: int = setting("their temperatures; more are slower and closer", 10_000)
    conditional: Literal["auto", "none"] = setting("auto: classes and attributes of the data shift all biases", "none")
    condition_dropout: float = setting("share of images whose condition is hidden, so that one can sample without", 0.1)
    likelihood: ClassVar[str] = "bernoulli"  # of the pixels; no setting

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "hidden", "gibbs_steps", "chains", "annealing_steps")
        checks.at_least(self, 2, "annealing_chains")
        checks.shares(self, "condition_dropout")


@dataclass(frozen=True)
class RBMOptions(SampleOptions):
    """Options of sampling from a restricted Boltzmann machine."""

    gibbs_steps: int = setting(
        "Gibbs steps of each picture; in the first half the machine is turned up from nothing", 200
    )
    pixels: Literal["mean", "draw"] = setting(
        "mean: probabilities given the last hidden units; draw: black and white", "mean"
    )

    def __post_init__(self) -> None:
        checks.at_least(self, 1, "gibbs_steps")
        if not self.temperature > 0:
            raise ConfigError(f"temperature={self.temperature} freezes a Boltzmann machine; use more than 0")


class RBM(Model):
    """Binary pixels and binary hidden units; the condition, where there is one, shifts the biases of both.

    Brightness is the probability of a pixel's being on, so grey and coloured images can be learned too.
    """

    Config: ClassVar[type] = RBMConfig
    Options: ClassVar[type] = RBMOptions
    likelihood_is: ClassVar[str] = "estimate"
    name: ClassVar[str] = "rbm"
    config: RBMConfig
    centre: Tensor  # (D,) mean image in [0, 1]
    base: Tensor  # (D,) log odds of the mean image
    chains: Tensor  # (M, D) bool: the visible units of the persistent chains
    chain_conditions: Tensor  # (M, W)

    def __init__(self, config: RBMConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.conditions = ConditionEncoder(data if config.conditional == "auto" else unconditional(data))
        size, width = data.channels * data.height * data.width, self.conditions.width
        self.weight = nn.Parameter(0.01 * torch.randn(size, config.hidden))
        self.visible, self.hidden = nn.Parameter(torch.zeros(size)), nn.Parameter(torch.zeros(config.hidden))
        if width:
            self.visible_shift = nn.Parameter(torch.zeros(width, size))
            self.hidden_shift = nn.Parameter(0.01 * torch.randn(width, config.hidden))
        self.register_buffer("centre", torch.full((size,), 0.5))
        self.register_buffer("base", torch.zeros(size))
        self.register_buffer("chains", torch.rand(config.chains, size) < 0.5)
        self.register_buffer("chain_conditions", torch.zeros(config.chains, width))
        # units of a condition that are on at once, at most: without it, many attributes would multiply the step size
        self._active = bool(self.conditions.classes) + 2 * self.conditions.attribute_width
        self._known_partitions: dict[bytes, LogPartition] = {}

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 128,
            "phases": {"model": {"optimizer": "sgd", "lr": 0.2}},
            "lr_schedule": "linear",
            "warmup_images": 5_000,  # coloured photographs throw off the first few steps at full length
            "ema_halflife_images": (5_000, 50_000),
        }

    # --- training ---------------------------------------------------------------------------------------------------

    def prepare(self, images: Tensor) -> None:
        """Take the mean of (N, C, H, W) training images for the machine's centre and first visible biases."""
        mean = (images.mean(0).flatten() + 1) / 2
        self.centre.copy_(mean)
        self.base.copy_(torch.logit(mean.clamp(BASE, 1 - BASE)))
        with torch.no_grad():
            self.visible.copy_(self.base)

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step of contrastive divergence, or of its persistent form.

        Source: Hinton 2002, Training products of experts by minimizing contrastive divergence; Tieleman 2008,
        Training restricted Boltzmann machines using approximations to the likelihood gradient.
        """
        visible = self._observed(batch.image, step.rng)
        condition = self._encode(batch.condition, len(batch))
        if not self.training:
            yield self._score(visible, condition, step.rng)
            return
        condition = hide(condition, self.config.condition_dropout, step.rng)
        with _full_precision(visible.device):
            drawn, drawn_condition = self._draw(visible, condition, step)
            real = self._machine(condition).free_energy(visible).mean()
            fake = self._machine(drawn_condition).free_energy(drawn).mean()
        yield Loss("model", real - fake, {"data_energy": real.detach(), "model_energy": fake.detach()})

    @torch.no_grad()
    def _draw(self, visible: Tensor, condition: Tensor, step: Step) -> tuple[Tensor, Tensor]:
        """What the machine draws, and the conditions that it was drawn for: (N, D) of 0 and 1, (N, W)."""
        config, (size, hidden) = self.config, self.weight.shape
        if config.negative == "contrastive":
            machine = self._machine(condition)
            for _ in range(config.gibbs_steps):
                visible = machine.gibbs(visible, step.rng.uniform(hidden + size))
            return visible, condition
        self._renew(condition, step.index)
        machine, chains = self._machine(self.chain_conditions), self.chains.to(visible)
        random = generator(_seed(step.rng), "chains", step.index)
        for _ in range(config.gibbs_steps):
            uniform = torch.from_numpy(random.random((len(chains), hidden + size), dtype=np.float32))
            chains = machine.gibbs(chains, uniform.to(visible))
        self.chains.copy_(chains > 0.5)
        return chains, self.chain_conditions.clone()

    def _renew(self, condition: Tensor, index: int) -> None:
        """Give some chains of a conditional machine conditions of the batch, so that all together have the data's.

        A chain goes on from where it is. Started again at an image it would stay near the data, and what the machine
        makes far from there would never be found and unlearned; with conditions that change too often it would lag
        behind them.
        """
        if not condition.shape[1]:
            return
        count = min(len(condition), max(1, int(RENEWED * len(self.chains))))
        places = (torch.arange(count, device=condition.device) + index * count) % len(self.chains)
        self.chain_conditions[places] = condition[:count]

    @torch.no_grad()
    def _score(self, visible: Tensor, condition: Tensor, rng: Rng) -> Loss:
        pixels = generator(_seed(rng), "pixels").permutation(visible.shape[1])[:SCORED_PIXELS]
        with _full_precision(visible.device):
            chosen = torch.from_numpy(pixels).to(visible.device)
            found = self._machine(condition).pseudo_log_likelihood(visible, chosen)
        return Loss("model", -found.mean())

    # --- the machine ------------------------------------------------------------------------------------------------

    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        """(B, D): pixels that are 0 or 1, or with binarize=none in between."""
        if self.config.binarize == "dynamic":
            image = binarize(image, rng.uniform(*self.data.shape))
        return (image.flatten(1) + 1) / 2

    def _encode(self, condition: Condition, rows: int) -> Tensor:
        encoded = self.conditions(condition, rows, self.weight.device)  # (B, W)
        return encoded / math.sqrt(max(1, self._active))

    def _machine(self, condition: Tensor) -> Machine:
        """The machine of each row of (B, W) encoded conditions."""
        if not condition.shape[1]:
            return Machine(self.weight, self.visible, self.hidden, self.centre)
        visible = self.visible + condition @ self.visible_shift
        return Machine(self.weight, visible, self.hidden + condition @ self.hidden_shift, self.centre)

    # --- use --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: RBMOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: a Gibbs chain for each image, from independent pixels with the data's base rates.

        The machine is turned up to its full strength over the first half of the steps, which finds its modes more
        evenly than a chain that is in one from the first step.
        """
        machine = self._machine(self._encode(condition, rng.rows)).cooled(options.temperature)
        path, (size, hidden) = Path(machine, self.base), self.weight.shape
        visible = path.start(rng.uniform(size))
        probability = visible
        for first in range(0, options.gibbs_steps, NOISE_BLOCK):
            noise = rng.uniform(min(NOISE_BLOCK, options.gibbs_steps - first), hidden + size)  # (B, n, H + D)
            for place, uniform in enumerate(noise.unbind(1)):
                beta = min(1.0, 2 * (first + place + 1) / options.gibbs_steps)
                probability = path.probability(machine.hidden_logits(visible), beta, uniform[:, :hidden])
                visible = (uniform[:, hidden:] < probability).to(visible)
        image = probability if options.pixels == "mean" else visible
        return (2 * image - 1).view(-1, *self.data.shape)

    @torch.no_grad()
    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) nats, float64: the log probability of the images, up to the error of log Z, whatever `samples`.

        Not a bound: log Z is estimated, and too low on average; `log_partition` has its standard error. It is a
        function of the weights and the condition alone, estimated when it is first asked for and kept in memory. Each
        condition has its own; so where they are too many (attributes, or more than 32 classes) they are left out, and
        what is scored is an image of which nothing is known. With binarize=dynamic the image is first drawn in black
        and white, from `rng`.
        """
        if samples < 1:
            raise ConfigError(f"samples={samples} is not possible; use 1 or more")
        if self.conditions.attribute_width or self.conditions.classes > MOST_CLASSES:
            condition = Condition()
        visible, encoded = precise(self._observed(image, rng)), self._encode(condition, len(image))
        partitions = torch.tensor([found.value for found in self._partitions(encoded)], dtype=visible.dtype)
        return -self._machine(encoded).to(visible.dtype).free_energy(visible) - partitions.to(visible.device)

    def log_partition(self, condition: Condition) -> LogPartition:
        """log Z under a condition of one row, with its standard error; an empty Condition is an unknown one."""
        return self._partitions(self._encode(condition, 1))[0]

    @torch.no_grad()
    def _partitions(self, encoded: Tensor) -> list[LogPartition]:
        """log Z under each encoded condition (B, W); remembered for as long as the weights stay the same."""
        weights = _digest(self.base, self.centre, *self.parameters())
        keys = [weights + _digest(row) for row in encoded]
        for key, row in zip(keys, encoded, strict=True):
            if key not in self._known_partitions:
                path, random = Path(self._machine(row[None]), self.base), generator(0, "annealing")
                steps, chains = self.config.annealing_steps, self.config.annealing_chains
                self._known_partitions[key] = log_partition(path, random, chains=chains, steps=steps)
        return [self._known_partitions[key] for key in keys]


def _digest(*tensors: Tensor) -> bytes:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.digest()


def _seed(rng: Rng) -> int:
    """A seed for what is not drawn row by row."""
    return int(rng.integers(2**62).flatten()[0])


def _full_precision(device: torch.device) -> torch.autocast:
    """Free energies are sums over all pixels, and their differences small: bfloat16 would lose them."""
    return torch.autocast(device.type, enabled=False)
