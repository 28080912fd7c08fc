"""A transformer in the manner of today's language models, and the cache that lets it read on where it stopped.

Parameterless RMS normalisation before each part, rotary positions along any number of axes, gated networks, grouped
heads, no biases. It maps vectors to vectors: what they stand for, and who may see whom, is told from outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ConfigError
from .attention import better_by_products, multiplies_tiles, products

Turns = tuple[Tensor, Tensor]  # cosines and signed sines, each (L, 1, D): see rotary


@dataclass(frozen=True)
class Size:
    """How large a transformer is.

    heads     query heads; their width is a multiple of 4, for places have two axes
    sharing   query heads that share one head of keys and values
    dropout   share of what each part adds that is dropped in training
    """

    width: int
    depth: int
    heads: int
    sharing: int = 1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.width % (4 * self.heads):
            raise ConfigError(f"width={self.width} is not a multiple of 4 x {self.heads} heads; change one of them")
        if self.heads % self.sharing:
            raise ConfigError(f"sharing={self.sharing} does not divide {self.heads} heads; use 1, or a divisor")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def hidden(self) -> int:
        """Units of a gated network: 8/3 of the width, so that it costs what an ungated one of 4 would."""
        return -(-8 * self.width // 96) * 32


class Transformer(nn.Module):
    """(B, L, width) -> (B, L, width), normalised."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.depth))
        for name, weight in self.named_parameters():
            adds = name.endswith(("out.weight", "down.weight"))  # these end what a part adds to the stream
            nn.init.normal_(weight, std=(weight.shape[1] * (2 * size.depth if adds else 1)) ** -0.5)
        lay_out(self)

    def forward(
        self, x: Tensor, turns: Turns, seen: Tensor | None = None, cache: Cache | None = None, at: int = 0
    ) -> Tensor:
        """Read (B, L, width), which stands at places `at` to `at` + L of the sequence.

        turns   the rotary angles of these places
        seen    bool, broadcast to (B, 1, L, M): which of the M places so far each may see; all when None
        cache   holds the places before `at`, and takes these; without one, M = L
        """
        for layer, block in enumerate(self.blocks):
            x = block(x, turns, seen, None if cache is None else cache.layers[layer], at)
        return normalised(x)

    def cache(self, rows: int, places: int, like: Tensor) -> Cache:
        """An empty cache for `rows` sequences of at most `places`, for vectors of that type on that device."""
        # float32 on most CPUs: there, attention in bf16 takes 3 to 7 times as long (docs/log.md 2026-11-26)
        dtype = like.dtype if like.device.type != "cpu" or multiplies_tiles() else torch.float32
        shape = (rows, self.size.heads // self.size.sharing, places, self.size.head_width)
        buffers = [[like.new_empty(shape, dtype=dtype) for _ in range(2)] for _ in self.blocks]
        return Cache([Memory(keys, values) for keys, values in buffers])


class Block(nn.Module):
    """Attention, then a network on each vector; each adds to the stream what it makes of its normalised state."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.attention, self.network = GroupedAttention(size), GatedNetwork(size)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, turns: Turns, seen: Tensor | None, memory: Memory | None, at: int) -> Tensor:
        x = x + self.dropout(self.attention(normalised(x), turns, seen, memory, at))
        return x + self.dropout(self.network(normalised(x)))


class GroupedAttention(nn.Module):
    """Attention whose query heads share heads of keys and values.

    Source: Ainslie et al. 2023, arXiv 2305.13245; rotary positions of Su et al. 2021, arXiv 2104.09864.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads, self.shared, self.head_width = size.heads, size.heads // size.sharing, size.head_width
        self.qkv = nn.Linear(size.width, (self.heads + 2 * self.shared) * size.head_width, bias=False)
        self.out = nn.Linear(size.width, size.width, bias=False)

    def forward(self, x: Tensor, turns: Turns, seen: Tensor | None, memory: Memory | None, at: int) -> Tensor:
        parts = self.qkv(x).unflatten(2, (-1, self.head_width))  # (B, L, H + 2 K, D)
        placed, value = parts.split([self.heads + self.shared, self.shared], dim=2)
        query, key = turned(placed, turns).split([self.heads, self.shared], dim=2)
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)  # (B, heads, L, D)
        if memory is not None:
            key, value = memory.take(at, key, value)  # (B, K, M, D)
        found = attend(query.to(key.dtype), key, value, seen).to(x.dtype)  # (B, H, L, D)
        return self.out(found.transpose(1, 2).flatten(2))


class GatedNetwork(nn.Module):
    """SwiGLU, with gate and input in one matrix. Source: Shazeer 2020, arXiv 2002.05202."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.both = nn.Linear(size.width, 2 * size.hidden, bias=False)
        self.down = nn.Linear(size.hidden, size.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.both(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * value)


@dataclass
class Memory:
    """One layer's keys and values, (B, K, places, D) each, written in place."""

    keys: Tensor
    values: Tensor

    def take(self, at: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Put (B, K, L, D) at place `at`; returns all up to their end, (B, K, at + L, D)."""
        end = at + key.shape[2]
        self.keys[:, :, at:end], self.values[:, :, at:end] = key, value
        return self.keys[:, :, :end], self.values[:, :, :end]


@dataclass
class Cache:
    """What a transformer has read, layer by layer. To go back to a place is to read on from there."""

    layers: list[Memory]


def attend(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None = None) -> Tensor:
    """(B, H, L, D) queries, (B, K, M, D) keys and values with H a multiple of K -> (B, H, L, D).

    The queries that share a key are laid one after the other, as if they were more places: nothing is copied to them.
    """
    shared, places = key.shape[1], query.shape[2]
    sharing = query.shape[1] // shared
    rows = query.reshape(query.shape[0], shared, sharing * places, query.shape[3])
    if seen is not None and seen.shape[2] > 1:
        seen = seen.repeat(1, 1, sharing, 1)
    if better_by_products(query):
        return products(rows, key, value, seen).reshape(query.shape)
    return F.scaled_dot_product_attention(rows, key, value, attn_mask=seen).reshape(query.shape)


def lay_out(module: nn.Module) -> None:
    """Let the matrices of a module lie in memory as is best for a single vector: by columns, or in bf16 by rows.

    At any number of vectors above a few it makes no difference; at one, a third of the time (docs/log.md 2026-11-26).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            weight = layer.weight.data
            layer.weight.data = weight.contiguous() if weight.dtype == torch.bfloat16 else weight.T.contiguous().T


def normalised(x: Tensor) -> Tensor:
    """Each vector at a mean square of 1. Source: Zhang & Sennrich 2019, arXiv 1910.07467.

    It learns no gain: the matrix that follows would take it over.
    """
    return F.rms_norm(x, x.shape[-1:], eps=1e-6)


def rotary(positions: Tensor, width: int, *, longest: float = 100.0) -> Turns:
    """The angles by which heads of `width` are turned at (L, axes) positions; the axes share the pairs evenly.

    longest   wavelength of the slowest pair, over 2 pi
    Source: Su et al. 2021, arXiv 2104.09864, equation 34; along two axes, half of the pairs each.
    """
    axes, pair = positions.shape[1], torch.arange(width // 2)
    rates = longest ** -((pair // axes) / max(1, width // 2 // axes))
    angles = positions.float()[:, pair % axes] * rates  # (L, D / 2)
    cosines, sines = angles.cos()[:, None], angles.sin()[:, None]
    return torch.cat([cosines, cosines], dim=2), torch.cat([-sines, sines], dim=2)


def turned(x: Tensor, turns: Turns) -> Tensor:
    """(B, L, heads, D), with feature i and feature i + D / 2 of each head turned as a pair."""
    return torch.addcmul(x * turns[0], x.roll(x.shape[-1] // 2, dims=-1), turns[1]).to(x.dtype)
