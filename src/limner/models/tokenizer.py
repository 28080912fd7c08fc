"""Tokenizers: images to grids of tokens and back, for language models of images.

An autoencoder whose latent is rounded to the rows of a codebook (nn/quantizer.py has the ways to). For a share of the
run nothing is rounded, so that codebooks start from features that say something. With standardised features that
matters less than is said of other tokenizers (docs/log.md).
tokenizer_presets.py lists the combinations that have names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..config import setting
from ..errors import ConfigError
from ..losses.reconstruction import psnr, reconstruction_cost
from ..model import Loss, Model, SampleOptions, Step
from ..nn.grid_autoencoder import GridDecoder, GridEncoder, Standardise, grid_depth
from ..nn.quantizer import Codebook, FiniteScalar, Quantized, Quantizer, perplexity, usage
from ..rng import Rng
from ..types import Batch, Condition, DataSpec
from . import checks


@dataclass(frozen=True)
class GridConfig(ABC):
    """What all tokenizers have: the networks, and how they are trained."""

    width: int = setting("channels at half resolution, doubling at each halving up to eightfold", 32)
    depth: int | None = setting("halvings; by default down to a shorter side of 5 to 8", None)
    blocks: int = setting("residual blocks at the smallest resolution, in encoder and decoder each", 1)
    edges: float = setting("weight of the error of edges at three scales, beside that of pixels", 1.0)
    warmup: float = setting("share of the run before anything is rounded", 0.1)
    commitment: float = setting("weight of the distance between features and their rows of a codebook", 0.25)
    conditional: Literal["none"] = setting("none: what an image shows is all in its tokens", "none")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "depth")
        checks.at_least(self, 0, "blocks", "edges", "commitment")
        checks.shares(self, "warmup")

    @abstractmethod
    def quantizer_for(self, grid: tuple[int, int]) -> Quantizer:
        """The quantizer of grids of that many rows and columns."""


@dataclass(frozen=True)
class TokenizerConfig(GridConfig):
    """The parts of a tokenizer. The defaults are those of `fsq`; tokenizer_presets.py has the others."""

    quantizer: Literal["levels", "codebook"] = setting(
        "levels: round numbers; codebook: take the nearest row", "levels"
    )
    levels: tuple[int, ...] = setting(
        "levels of each number of an embedding; their product is the vocabulary", (8, 6, 5)
    )
    codes: int = setting("rows of a codebook: its vocabulary", 512)
    code_width: int = setting("numbers in a row of a codebook", 8)
    normalised: bool = setting("rows of a codebook have unit length: only directions are compared", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least(self, 2, "codes")
        checks.at_least(self, 1, "code_width")
        if not self.levels or min(self.levels) < 2:
            raise ConfigError(f"levels={self.levels} leave a number without a choice; use 2 or more for each, as 8,6,5")

    def quantizer_for(self, grid: tuple[int, int]) -> Quantizer:
        if self.quantizer == "levels":
            return FiniteScalar(self.levels)
        return Codebook(self.codes, self.code_width, normalised=self.normalised)


class Tokenizer(Model):
    """Encodes images to a grid of tokens, and decodes them; it makes no images of its own."""

    Config: ClassVar[type] = TokenizerConfig
    name: ClassVar[str] = "fsq"
    config: GridConfig

    def __init__(self, config: GridConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        depth = grid_depth(data) if config.depth is None else config.depth
        self.grid = (data.height >> depth, data.width >> depth)
        self.quantizer = config.quantizer_for(self.grid)
        width, self.vocabulary = self.quantizer.width, self.quantizer.vocabulary
        parts: dict[str, int] = {"width": config.width, "depth": depth, "blocks": config.blocks}
        self.encoder = GridEncoder(data, width, **parts)
        self.standardise = Standardise(width)
        self.decoder = GridDecoder(data, width, **parts)
        self.latent_shape = (width, *self.grid)

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 64,
            "phases": {"model": {"optimizer": "adam", "lr": 3e-3}},
            "lr_schedule": "cosine",
            "ema_halflife_images": (2_000, 10_000),
            "weights": "ema_short",
        }

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Start the decoder from the mean of (N, C, H, W) training images, and the features from variance 1."""
        self.decoder.centre(images.mean(0))
        self.standardise.start(self.encoder(images[:256]))

    # --- training ---------------------------------------------------------------------------------------------------

    def losses(self, batch: Batch, step: Step) -> Iterator[Loss]:
        """One step: the image from its tokens, or during the warm-up from the features that are rounded later."""
        found, output = self._reconstructed(batch.image, step)
        value = self._cost(found, output, batch.image)
        yield Loss("model", value, lambda: self._terms(found, output, batch.image))
        self.quantizer.learn(found, step.rng)

    def _reconstructed(self, image: Tensor, step: Step) -> tuple[Quantized, Tensor]:
        """The tokens, and the decoder's output (B, C, H, W), unbounded."""
        features = self._features(image)
        found = self._quantized(features)
        code = self.quantizer.bounded(features) if step.progress < self.config.warmup else found.code
        return found, self.decoder(code)

    def _cost(self, found: Quantized, output: Tensor, image: Tensor) -> Tensor:
        return reconstruction_cost(output, image, self.config.edges) + self.config.commitment * found.cost

    def _terms(self, found: Quantized, output: Tensor, image: Tensor) -> dict[str, Tensor]:
        """For the log: the batch's error, and how much of the vocabulary it uses."""
        return {
            "psnr": psnr(output, image),
            "usage": usage(found.tokens, self.vocabulary),
            "perplexity": perplexity(found.tokens, self.vocabulary),
        }

    def _features(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, h, w) of about unit variance."""
        return self.standardise(self.encoder(image)).float()

    def _quantized(self, features: Tensor) -> Quantized:
        with torch.autocast(features.device.type, enabled=False):  # in bfloat16, near tokens would be mistaken
            return self.quantizer(features)

    # --- use --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def tokenize(self, image: Tensor) -> Tensor:
        """(B, C, H, W) in [-1, 1] -> (B, rows, columns) int64."""
        return self._quantized(self._features(image)).tokens.unflatten(1, self.grid)

    def detokenize(self, tokens: Tensor) -> Tensor:
        """(B, rows, columns) int64 -> (B, C, H, W) in [-1, 1]."""
        return self._picture(self._code(tokens))

    def encode(self, image: Tensor, condition: Condition) -> Tensor:
        """(B, C, H, W) -> (B, *latent_shape): the embeddings of the image's tokens."""
        return self._quantized(self._features(image)).code

    def decode(self, latent: Tensor, condition: Condition) -> Tensor:
        """(B, *latent_shape) -> (B, C, H, W) in [-1, 1]; the latent is taken as it is, not rounded."""
        return self._picture(latent)

    def draw_latent(self, rng: Rng, options: SampleOptions) -> Tensor:
        """(B, *latent_shape): embeddings of tokens drawn alike, whatever stands beside them; textures, not images."""
        return self._code(rng.integers(self.vocabulary, *self.grid))

    def _code(self, tokens: Tensor) -> Tensor:
        """(B, rows, columns) -> (B, *latent_shape)."""
        return self.quantizer.embed(tokens).movedim(-1, 1)

    def _picture(self, code: Tensor) -> Tensor:
        return self.decoder(code).float().clamp(-1, 1)
