"""The contract of every model: what it minimises, in the order of its paper's algorithm box, and what it can do.

Read this page first. A model is an nn.Module that yields its losses; one loop (training/loop.py) does everything
mechanical: data order, device, precision, accumulation, clipping, optimisers, averages, checkpoints, resume.
What a model can do beyond training is said by small protocols, the abilities below; tasks are functions over them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from .config import setting
from .diffusion.denoiser import Denoiser
from .diffusion.paths import Path
from .rng import Rng
from .types import Batch, Condition, DataSpec

Terms = Mapping[str, Tensor] | Callable[[], Mapping[str, Tensor]]


class Loss(NamedTuple):
    """One loss of one phase: the loop back-propagates `value` into that phase's parameters and steps its optimiser."""

    phase: str
    value: Tensor  # scalar, mean over the batch, float32
    terms: Terms = {}  # for the log only; a function is called on the steps that are logged, and on no others


@dataclass(frozen=True)
class Step:
    """Where training stands: the index of the step (from 0), images seen before it, its random source, and the share
    of the run that lies behind it (0 to 1; a run with a time budget plans it anew a few times and records the plans).
    """

    index: int
    images: int
    rng: Rng
    progress: float = 1.0


class Model(nn.Module, ABC):
    """A trainable image model.

    config   the model's own frozen dataclass, of type `Config`
    data     the shape of its images and its conditions
    """

    Config: ClassVar[type]
    name: ClassVar[str]  # its name in the catalogue
    from_sources: ClassVar[bool] = True  # of one that transforms: whether it learns from sources, not from images alone

    def __init__(self, config: Any, data: DataSpec) -> None:
        super().__init__()
        self.config, self.data = config, data

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        """Who can be trained: phase name -> parameters. One phase by default.

        A phase may have no parameters: its loss is logged and checked, and the model itself does the update, into
        buffers, after the yield. So closed-form steps (expectation-maximisation) go through the same loop.
        """
        return {"model": list(self.parameters())}

    def training_defaults(self) -> Mapping[str, Any]:
        """What to train with unless the user says otherwise; any key may be left out.

        batch                 images a step
        phases                phase name -> {"optimizer", "lr", "betas", "weight_decay", "momentum"}
        lr_schedule           "constant", "cosine" or "linear"
        warmup_images, clip   as in TrainConfig
        ema_halflife_images   (short, long)
        weights               which weights to use afterwards: "ema_short", "ema_long" or "raw"
        """
        return {}

    def prepare(self, images: Tensor) -> None:
        """Start from something better than random: called once, before the first step, with training images.

        images   (N, C, H, W) in [-1, 1], up to 2,048 of them
        """

    @abstractmethod
    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """Yield the losses of one step, in order. Code after a yield runs after that phase's optimiser step."""


@dataclass(frozen=True)
class SampleOptions:
    """Options of sampling that every model has; a model's own options extend this."""

    temperature: float = setting("scale of the latent noise; below 1 trades variety for quality", 1.0)


@runtime_checkable
class Samples(Protocol):
    """Makes images from noise."""

    Options: ClassVar[type]  # a frozen dataclass; SampleOptions when the model has none of its own

    def sample(self, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """rng.rows images, (B, C, H, W) in [-1, 1]. Draws noise from `rng` alone."""


@runtime_checkable
class Decodes(Protocol):
    """Turns latents into images: what interpolation and traversal need."""

    latent_shape: tuple[int, ...]

    def draw_latent(self, rng: Rng, options: Any) -> Tensor:
        """(B, *latent_shape) latents as sampling would draw them."""

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, *latent_shape) -> (B, C, H, W) in [-1, 1]: the mean image, no noise."""


@runtime_checkable
class Encodes(Decodes, Protocol):
    """Turns images into latents and back: reconstruction, editing, compression."""

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, *latent_shape): the mean latent, no noise."""


@runtime_checkable
class FitsDensity(Protocol):
    """Has a density over its latents that is fitted after training (ex-post density estimation)."""

    def fit_density(self, latents: Tensor, seed: int) -> None:
        """(N, *latent_shape) encoded training images -> buffers that sampling uses."""


@runtime_checkable
class Scores(Protocol):
    """Can bound or compute log p(image).

    A model whose score is no bound says so in `likelihood_is`: "exact", or "estimate" when it may err to either side.
    What is scored, where no setting `likelihood` tells, is in `likelihood_of`: "density" for a density of pixels.
    """

    def log_likelihood(self, image: Tensor, condition: Condition, rng: Rng, samples: int) -> Tensor:
        """(B,) a lower bound of log p(image) in nats, tighter with more importance samples."""


@runtime_checkable
class Denoises(Protocol):
    """Sees the image behind noise of any strength: what guidance, filling in, editing and composition are made of."""

    path: Path  # from image to noise, along which it was trained

    def enter(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, c, h, w): the space it works in."""

    def leave(self, space: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, C, H, W) in [-1, 1]; undoes `enter`, as far as an autoencoder allows."""

    def denoiser(self, condition: Condition, options: Any, rows: int) -> Denoiser:
        """D(x, sigma) for `rows` images of that condition, guided as the options say."""


@runtime_checkable
class Transforms(Protocol):
    """Turns one picture into another: enlarges it, repairs it, translates it, gives it a style.

    Channels and scale are those of its data (`source_channels`, `channels`, `scale`); sizes are free unless `reach` is
    None.
    """

    reach: int | None  # pixels of the source around a place that what comes out there depends on; None: on all of them
    multiple: int  # sides of a source must be multiples of this

    def transform(self, source: Tensor, condition: Condition) -> Tensor:
        """(B, c, h, w) in [-1, 1] -> (B, C, scale h, scale w) in about [-1, 1]. Draws no noise."""


@runtime_checkable
class Tokenizes(Protocol):
    """Turns images into a grid of tokens and back: what language models of images are trained on."""

    vocabulary: int  # tokens are 0 … vocabulary - 1
    grid: tuple[int, int]  # rows and columns of tokens

    def tokenize(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, rows, columns) int64."""

    def detokenize(self, tokens: Tensor) -> Tensor:
        """(B, rows, columns) int64 -> (B, C, H, W) in [-1, 1]."""


@runtime_checkable
class Completes(Protocol):
    """Goes on from the upper part of a picture, as it makes pictures from the top to the bottom, or by parts."""

    def complete(self, image: Tensor, rows_given: int, *, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """(B, C, H, W) in [-1, 1], of which the first rows are looked at -> (B, C, H, W), the others drawn."""


@runtime_checkable
class Redraws(Protocol):
    """Makes pictures of tokens, any of which it can draw anew."""

    grid: tuple[int, int]  # rows and columns of tokens

    def inpaint(self, image: Tensor, redo: Tensor, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """(B, C, H, W) in [-1, 1] with the tokens where `redo`, (B, rows, columns) bool, says so drawn anew."""


@runtime_checkable
class Precomputes(Protocol):
    """Trains on something that is made of each image once, before the run: latents or tokens of a frozen model.

    `losses` finds it as `batch.code`; where that is None (a validation batch, a test) it calls `precompute` itself.
    """

    def precompute(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, ...): no randomness, no gradient."""


@runtime_checkable
class FollowsOn(Protocol):
    """Works on another model, which is trained first: its latents, its tokens, or its weights to begin with.

    Its config says which in `first` (a name of the catalogue, or a run), and its settings in `first_config`. Its class
    may say in `first_share` what share of a run's length the first model gets unless the user says otherwise.
    """

    def adopt(self, first: Model) -> None:
        """Take over a trained model of those settings; called once, before `prepare`."""


ABILITIES: dict[str, type] = {
    "sample": Samples,
    "decode": Decodes,
    "encode": Encodes,
    "score": Scores,
    "tokenize": Tokenizes,
    "denoise": Denoises,
    "complete": Completes,
    "redraw": Redraws,
    "transform": Transforms,
}
