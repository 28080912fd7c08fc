"""What language models of images share: images as tokens of a frozen tokenizer, a transformer that foretells them.

The three ways to make tokens differ in which tokens a place may see and in how many are drawn at once: one after the
other (token_lm.py), the surest of all in a few passes (masked_tokens.py), or a whole scale at a time (next_scale.py).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import setting
from ..errors import ConfigError
from ..model import Model, SampleOptions, Tokenizes
from ..nn.decoding import UNKNOWN, Pick, drawn, narrowed
from ..nn.token_network import Reading, TokenNetwork, joined
from ..nn.transformer import Size
from ..rng import Rng
from ..types import Condition, DataSpec
from . import checks
from .conditioning import Conditioning, Known
from .first import FirstStage


@dataclass(frozen=True)
class TokenConfig:
    """The parts of a language model of images, with the defaults of `token-lm`; token_presets.py has the others."""

    first: str = setting("the tokenizer: a model or a run", "fsq")
    first_config: dict[str, Any] = field(default_factory=dict, metadata={"help": "settings of the tokenizer"})
    width: int = setting("length of the vectors", 128)
    depth: int = setting("transformer blocks", 4)
    head_width: int = setting("length of an attention head", 32)
    sharing: int = setting("attention heads that share keys and values, where their number allows it", 2)
    dropout: float = setting("share of what each block adds that is dropped in training", 0.0)
    text: str = setting("encoder of captions: none, own, minilm, or a Hugging Face folder or id", "none")
    conditional: Literal["auto", "none"] = setting("auto: condition on the classes and attributes of the data", "auto")
    condition_dropout: float = setting("share of images whose condition is hidden, for guidance", 0.1)

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "width", "depth", "head_width", "sharing")
        checks.shares(self, "dropout", "condition_dropout")

    def size(self) -> Size:
        heads = max(1, self.width // self.head_width)
        return Size(self.width, self.depth, heads, math.gcd(self.sharing, heads), self.dropout)


@dataclass(frozen=True)
class TokenOptions(SampleOptions):
    """Options of drawing tokens."""

    top_k: int | None = setting("draw from this many of the likeliest tokens", None)
    top_p: float = setting("draw from the likeliest tokens that make up this share of the probability", 1.0)
    guidance: float = setting("above 1 exaggerates the condition; 1 is without", 1.0)
    negative: str = setting("a description of what guidance moves away from", "")
    precision: Literal["fp32", "bf16"] = setting("bf16 is up to twice as fast, and draws some other tokens", "fp32")

    def __post_init__(self) -> None:
        checks.choices(self)
        checks.at_least(self, 1, "top_k")
        checks.at_least(self, 0, "temperature", "guidance")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p={self.top_p} is not a share above 0; use for example 0.9, or 1 for all tokens")

    @property
    def pick(self) -> Pick:
        """Tokens from logits and uniform numbers, as these options say."""
        narrow = partial(narrowed, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        return lambda logits, uniform: drawn(narrow(logits), uniform)


class TokenModel(Model):
    """A tokenizer that stays as it is, and a network that foretells its tokens.

    first     holds the tokenizer; `adopt` gives it the weights of a trained one
    grid      rows and columns of tokens, as parts of an image are named by
    places    tokens of an image
    """

    Config: ClassVar[type] = TokenConfig
    Options: ClassVar[type] = TokenOptions
    first_share: ClassVar[float] = 0.25
    config: TokenConfig

    def __init__(self, config: TokenConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        first = FirstStage.of(config.first, config.first_config, data)
        if first is None or not isinstance(first.model, Tokenizes):
            raise ConfigError(f"first={config.first!r} makes no tokens; use fsq, vqvae, vqgan or residual-vq")
        self.first, self.grid = first, first.model.grid
        self.conditioning = Conditioning(data, conditional=config.conditional, text=config.text)
        positions, pattern = self._layout()
        self.places = len(positions)
        self.network = TokenNetwork(
            config.size(),
            self._embedding(),
            vocabulary=self.tokenizer.vocabulary,
            positions=positions,
            pattern=pattern,
            condition=self.conditioning.width,
            text=self.conditioning.text_width,
        )

    @abstractmethod
    def _layout(self) -> tuple[Tensor, Tensor | None]:
        """Where the tokens lie, (N, axes), and which of them each may see, (N, N) bool or None for all."""

    @abstractmethod
    def _embedding(self) -> nn.Module:
        """What turns inputs at the places into vectors."""

    @abstractmethod
    def _draw(self, reading: Reading, rng: Rng, options: Any, known: Tensor | None) -> Tensor:
        """(B, N) tokens; those of `known` that are not UNKNOWN stay as they are."""

    def adopt(self, first: Model) -> None:
        """Speak in the tokens of a trained tokenizer."""
        self.first.adopt(first)

    def phases(self) -> Mapping[str, list[nn.Parameter]]:
        return {"model": [parameter for parameter in self.parameters() if parameter.requires_grad]}

    def training_defaults(self) -> Mapping[str, Any]:
        return {
            "batch": 64,
            "phases": {"model": {"optimizer": "adamw", "lr": 2e-3, "betas": (0.9, 0.99), "weight_decay": 0.05}},
            "lr_schedule": "cosine",
            "warmup_images": 10_000,
            "clip": 1.0,
            "ema_halflife_images": (4_000, 20_000),
        }

    # --- images and tokens ------------------------------------------------------------------------------------------

    @property
    def tokenizer(self) -> Any:
        """The frozen model that Tokenizes."""
        return self.first.model

    @torch.no_grad()
    def precompute(self, image: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N) int64: the tokens, in the order of the places."""
        return self.tokenizer.tokenize(image).flatten(1)

    @torch.no_grad()
    def pictures(self, tokens: Tensor) -> Tensor:
        """(B, N) int64 -> (B, C, H, W) in [-1, 1]."""
        return self.tokenizer.detokenize(tokens.unflatten(1, self.tokenizer.grid))

    def _kept(self, redo: Tensor) -> Tensor:
        """(B, rows, columns) bool on the grid of tokens -> (B, N) bool: which tokens are to be kept."""
        return ~redo.flatten(1)

    # --- training ---------------------------------------------------------------------------------------------------

    def _foretold(self, inputs: Tensor, known: Known) -> Tensor:
        """(B, N, ...) inputs -> (B, N, V) logits."""
        return self.network(inputs, self.network.prefix(known.vector, known.text)).float()

    # --- use --------------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def draw_tokens(self, rng: Rng, condition: Condition, options: Any, known: Tensor | None = None) -> Tensor:
        """(B, N) tokens; of `known` (B, N) those that are not UNKNOWN stay as they are."""
        return self._draw(self._read(condition, rng.rows, options), rng, options, known)

    @torch.no_grad()
    def sample(self, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """(B, C, H, W) in [-1, 1]: tokens drawn and decoded."""
        return self.pictures(self.draw_tokens(rng, condition, options))

    @torch.no_grad()
    def inpaint(self, image: Tensor, redo: Tensor, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """Draw some tokens of (B, C, H, W) anew: those of `redo`, (B, rows, columns) bool on the grid of tokens.

        What is kept comes back as the tokenizer decodes it. One by one, a token only knows those before it.
        """
        tokens = self.precompute(image)
        known = torch.where(self._kept(redo), tokens, UNKNOWN)
        return self.pictures(self.draw_tokens(rng, condition, options, known))

    @torch.no_grad()
    def complete(self, image: Tensor, rows_given: int, *, rng: Rng, condition: Condition, options: Any) -> Tensor:
        """Go on from the first rows of pixels of (B, C, H, W), which come back as the tokenizer decodes them.

        Raises ConfigError when so many rows are no whole rows of tokens.
        """
        height, width = self.grid
        side = self.data.height // height
        if not 0 <= rows_given <= self.data.height:
            raise ConfigError(f"rows_given={rows_given} is not within 0 to {self.data.height}, the rows of an image")
        if rows_given % side:
            near = rows_given - rows_given % side
            raise ConfigError(
                f"rows_given={rows_given} cuts through tokens of {side} rows, which are drawn whole; "
                f"use {near} or {near + side}"
            )
        redo = torch.arange(height, device=image.device) >= rows_given // side
        return self.inpaint(image, redo[None, :, None].expand(len(image), height, width), rng, condition, options)

    def _read(self, condition: Condition, rows: int, options: TokenOptions) -> Reading:
        """The network, in the precision asked for, with all that is known of `rows` images read."""
        network = self.network.in_bf16() if options.precision == "bf16" else self.network
        known = self.conditioning(condition, rows)
        prefix = network.prefix(known.vector, known.text)
        if options.guidance == 1 or not self.conditioning.width:
            return network.read(prefix)
        nothing = self.conditioning.nothing(rows, negative=options.negative)
        return network.read(joined(prefix, network.prefix(nothing.vector, nothing.text)), options.guidance)


def token_terms(logits: Tensor, tokens: Tensor) -> Callable[[], Mapping[str, Tensor]]:
    """For the log: how often the likeliest token is the right one, of (N, V) logits and (N,) tokens."""
    return lambda: {"accuracy": (logits.argmax(-1) == tokens).float().mean()}


def surprise(logits: Tensor, tokens: Tensor) -> Tensor:
    """(B, N, V) logits and (B, N) tokens -> (B, N) nats."""
    return F.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
