"""Attention over sequences, by whichever kernel is fastest, and the modules made of it."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SCORES = 1 << 20  # numbers at once, some 2 MB


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(query key^T / sqrt(D)) value: (B, heads, L, D) and (B, heads, M, D) twice -> (B, heads, L, D).

    mask   (B, M) bool, True where a key may be seen; each row sees at least one
    """
    seen = None if mask is None else mask[:, None, None, :]
    if better_by_products(query):
        return products(query, key, value, seen)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=seen)


def better_by_products(query: Tensor) -> bool:
    """Whether two batched products are faster than torch's fused kernel: in bf16 on a CPU, up to four times.

    Where no gradients are kept and the processor multiplies tiles, the kernel is two to three times as fast
    (docs/log.md, 2026-11-27).
    """
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return False
    return torch.is_grad_enabled() or not multiplies_tiles()


@cache
def multiplies_tiles() -> bool:
    """Whether this processor has units that multiply tiles of matrices in bf16 (Intel's AMX)."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", bool)())


def products(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None) -> Tensor:
    """The same by two batched products; `seen` (B or 1, 1, L or 1, M) bool.

    Where no gradients are kept a few images are taken at a time, so that their scores stay in the cache.
    """
    with torch.autocast(query.device.type, enabled=False):  # it takes a softmax in fp32, of numbers rounded already
        if torch.is_grad_enabled():
            return _product(query, key, value, seen)
        rows = max(1, _SCORES // (query.shape[1] * query.shape[2] * key.shape[2]))
        if rows >= len(query):
            return _product(query, key, value, seen)
        parts = [slice(start, start + rows) for start in range(0, len(query), rows)]
        each = [seen if seen is None or len(seen) == 1 else seen[p] for p in parts]
        return torch.cat([_product(query[p], key[p], value[p], s) for p, s in zip(parts, each, strict=True)])


def _product(query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if seen is not None:
        scores = scores.masked_fill(~seen, -torch.inf)
    return scores.softmax(-1) @ value


class Attention(nn.Module):
    """Multi-head attention of a sequence (B, L, width) to itself, or to `memory` (B, M, memory_width)."""

    def __init__(self, width: int, heads: int, *, memory_width: int | None = None) -> None:
        super().__init__()
        self.heads, self.crossing = heads, memory_width is not None
        self.query = nn.Linear(width, width if self.crossing else 3 * width)  # for itself also key and value
        self.memory = nn.Linear(memory_width, 2 * width) if memory_width is not None else None
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(B, L, width) -> (B, L, width); `mask` (B, M) says which entries of the memory may be seen."""
        if self.memory is None:
            query, key, value = self._heads(self.query(x), 3)
        else:
            assert memory is not None, "this attention looks at a memory"
            (query,), (key, value) = self._heads(self.query(x), 1), self._heads(self.memory(memory), 2)
        found = attend(query, key, value, mask)  # (B, heads, L, D)
        return self.out(found.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        """(B, L, parts x width) -> `parts` times (B, heads, L, D)."""
        return x.unflatten(2, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def heads_for(width: int, head_width: int) -> int:
    """As many heads of about `head_width` as divide `width`."""
    heads = max(1, width // head_width)
    while width % heads:
        heads -= 1
    return heads
