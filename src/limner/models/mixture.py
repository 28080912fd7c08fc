"""What Gaussian and Bernoulli mixtures share: one loop over batches that is expectation-maximisation.

A step finds how the batch's images are shared among the mixture's members, yields minus their log likelihood, and then
lets the members learn; no gradient is taken. nn/mixture.py has the mixture, nn/families.py what it mixes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ..config import setting
from ..errors import ConfigError
from ..model import Loss, Model, SampleOptions, Step
from ..nn.condition import ConditionEncoder, unconditional
from ..nn.families import Family
from ..nn.mixture import FullRounds, Mixture, Stepwise
from ..rng import Rng, generator
from ..types import Batch, Condition, DataSpec
from . import checks

LearningName = Literal["stepwise", "rounds"]


def full_precision(device: torch.device) -> torch.autocast:
    """Where sums over all pixels are taken: bfloat16 would lose whole nats."""
    return torch.autocast(device.type, enabled=False)


@dataclass(frozen=True)
class MixtureConfig:
    """Settings of every mixture."""

    components: int = setting("members of the mixture; data with classes gives each class an equal number", 50)
    learning: LearningName = setting("after each batch a little, or in full rounds of round_images", "stepwise")
    decay: float = setting("of the step sizes, as a power of the step; between 0.5 and 1 they find a maximum", 0.7)
    round_images: int = setting("images in a full round; the number in the data set is textbook EM", 60_000)
    smoothing: float = setting("weight of what holds for all images in each member, as a share of a member's", 0.01)
    conditional: Literal["auto", "none"] = setting("auto: know the classes and attributes of the data", "auto")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "components", "round_images")
        checks.at_least(self, 0, "smoothing")
        if not 0.5 < self.decay <= 1:
            raise ConfigError(f"decay={self.decay} finds no maximum; use more than 0.5 and at most 1, for example 0.7")


@dataclass(frozen=True)
class MixtureOptions(SampleOptions):
    """Options of sampling from a mixture."""

    pixels: Literal["mean", "draw"] = setting(
        "mean: without each pixel's own noise; draw: with it, as the density has it", "mean"
    )


class MixtureModel(Model):
    """A mixture over all pixels of an image at once. Its phase has no parameters: all that it learns is in buffers."""

    Options: ClassVar[type] = MixtureOptions
    likelihood_is: ClassVar[str] = "exact"
    config: MixtureConfig
    start: Tensor  # int64: the seed of where the members begin

    def __init__(self, config: MixtureConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        seen = data if config.conditional == "auto" else unconditional(data)
        classes = max(1, len(seen.classes))
        members = classes * max(1, config.components // classes)
        learning = Stepwise(config.decay) if config.learning == "stepwise" else FullRounds(config.round_images)
        self.conditions = ConditionEncoder(seen)
        self.mixture = Mixture(self._family(members), seen, learning)
        self.register_buffer("start", torch.randint(2**62, ()))

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        return {"members": []}

    # --- what a mixture of one kind adds ----------------------------------------------------------------------------

    @abstractmethod
    def _family(self, members: int) -> Family:
        """The densities that are mixed."""

    @abstractmethod
    def _observed(self, image: Tensor, rng: Rng) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, D) the rows whose likelihood counts; random ones from `rng`."""

    @abstractmethod
    def _expected(self, image: Tensor, observed: Tensor) -> Tensor:
        """(B, D) what the members learn from: the observed rows, or their expectation where it is known."""

    @abstractmethod
    def _picture(self, rows: Tensor) -> Tensor:
        """(B, D) drawn rows -> (B, D) pixels."""

    # --- training ---------------------------------------------------------------------------------------------------

    def prepare(self, images: Tensor) -> None:
        """Put the members at (N, C, H, W) training images far from one another; call it once, before the first step."""
        self.mixture.begin(self._settled(images), generator(int(self.start), "members"))

    @torch.no_grad()
    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step of expectation-maximisation: the shares before the yield, the members after it.

        The loss is minus the mean log p(image | condition) in nats, before the step.
        """
        condition = self._encode(batch.condition, len(batch))
        observed = self._observed(batch.image, step.rng)
        learned = self._expected(batch.image, observed)
        if self.training:
            seed = int(step.rng.integers(2**62).flatten()[0])
            self.mixture.place(learned, condition, generator(seed, "members", step.index))
        with full_precision(batch.image.device):
            joint = self.mixture.log_joint(observed, condition)  # (B, K)
        likelihood = joint.logsumexp(1) - self.mixture.log_members(condition).to(joint).logsumexp(1)
        yield Loss("members", -likelihood.mean().float(), {"members_in_use": self._in_use()})
        with full_precision(batch.image.device):
            self.mixture.learn(learned, joint.softmax(1), condition)

    def _settled(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D) rows as the members see them on average, without noise."""
        return self._expected(images, images.flatten(1))

    def _in_use(self) -> Tensor:
        """Members that hold at least a tenth of an equal share."""
        weights = self.mixture.weights
        return (weights > 0.1 / len(weights)).sum().float()

    def _encode(self, condition: Condition, rows: int) -> Tensor:
        return self.conditions(condition, rows, self.start.device)

    # --- use --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: MixtureOptions) -> Tensor:
        """(B, C, H, W) in [-1, 1]: a member drawn from p(member | condition), and an image drawn from it."""
        chosen = self.mixture.choose(self._encode(condition, rng.rows), rng)
        rows = self.mixture.family.draw(chosen, rng, options.temperature, noise=options.pixels == "draw")
        return self._picture(rows).clamp(-1, 1).view(-1, *self.data.shape)
