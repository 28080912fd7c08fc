"""Drawing tokens from logits, one by one or many at a time: pure functions, of the logits and of uniform numbers.

All randomness comes in as uniform numbers, one row per image, so an image does not depend on those drawn with it.
A network is a function to logits here; how it remembers what it has read is its own affair.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..precise import finest, precise

Pick = Callable[[Tensor, Tensor], Tensor]  # (..., V) logits and (...) uniform numbers in [0, 1) -> (...) tokens
UNKNOWN = -1  # stands for a token that is to be drawn


def narrowed(logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0) -> Tensor:
    """(..., V) logits, sharpened, with -inf for tokens that shall not be drawn.

    temperature   divides the logits; at 0 only the likeliest token is left
    top_k         keep the k likeliest tokens (more where the k-th has equals)
    top_p         keep the likeliest tokens whose probabilities first add up to p (Holtzman et al. 2019, 1904.09751)
    """
    if temperature == 0:
        top_k = 1
    elif temperature != 1:
        logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if top_p < 1:
        ordered, order = logits.sort(dim=-1, descending=True)
        share = ordered.softmax(-1)
        outside = share.cumsum(-1) - share >= top_p  # what is likelier adds up to p already
        logits = logits.masked_fill(torch.zeros_like(outside).scatter(-1, order, outside), -math.inf)
    return logits


def drawn(logits: Tensor, uniform: Tensor) -> Tensor:
    """(...) tokens from (..., V) logits: the inverse of their distribution function, at (...) numbers in [0, 1)."""
    # as finely as can be, for the sums of thousands of small probabilities
    reached = logits.softmax(-1, dtype=finest(logits.device)).cumsum(-1)
    found = torch.searchsorted(reached, uniform.to(reached)[..., None] * reached[..., -1:], right=True)[..., 0]
    return found.clamp(max=logits.shape[-1] - 1)  # in float32 a number just below 1 can reach the very end


def guided(told: Tensor, untold: Tensor, weight: float) -> Tensor:
    """Logits moved from those without the condition to those with it, and beyond for weights above 1.

    A weight of 1 gives `told` back, bit for bit. Source: Ho & Salimans 2022, arXiv 2207.12598, equation 6, on logits.
    """
    return torch.lerp(untold, told, weight)


# --- one by one -------------------------------------------------------------------------------------------------------


def one_by_one(
    logits_after: Callable[[Tensor, int], Tensor],
    pick: Pick,
    uniform: Tensor,
    *,
    start: int,
    known: Tensor | None = None,
) -> Tensor:
    """(B, N) tokens in order, each drawn knowing those before it.

    logits_after   (B,) the token before a place (`start` before the first), and the place -> (B, V)
    uniform        (B, N)
    known          (B, N) tokens to keep; UNKNOWN where one is to be drawn
    """
    rows, places = uniform.shape
    tokens = torch.full((rows, places + 1), start, device=uniform.device)
    for place in range(places):
        token = pick(logits_after(tokens[:, place], place), uniform[:, place])
        if known is not None:
            token = torch.where(known[:, place] == UNKNOWN, token, known[:, place])
        tokens[:, place + 1] = token
    return tokens[:, 1:]


# --- many at a time ---------------------------------------------------------------------------------------------------


def by_confidence(
    logits_of: Callable[[Tensor], Tensor],
    pick: Pick,
    uniform: Tensor,
    *,
    mask: int,
    known: Tensor | None = None,
    wander: float | None = 4.5,
) -> Tensor:
    """(B, N) tokens in a few passes: each draws all that are masked, and keeps those it is surest of.

    logits_of   (B, N) tokens, `mask` where one is not known yet -> (B, N, V)
    uniform     (B, passes, 2, N): to draw with, and to choose which to keep
    known       (B, N) tokens to keep; UNKNOWN where one is to be drawn
    wander      strength of Gumbel noise on the confidences, which fades to 0; None: keep a random choice

    A cosine says how many stay masked; a pass always keeps one at least. With a pass for every token and wander=None
    the tokens come from the network's own distribution in a random order: the price of fewer passes is that tokens
    of one pass do not know of each other.
    Source: Chang et al. 2022, arXiv 2202.04200, section 3.2.
    """
    rows, passes, _, places = uniform.shape
    hidden = torch.ones(rows, places, dtype=torch.bool, device=uniform.device) if known is None else known == UNKNOWN
    tokens = hidden * mask if known is None else torch.where(hidden, mask, known)  # (B, N)
    wanted = hidden.sum(1)  # (B,)
    for index in range(passes):
        logits = logits_of(tokens)  # (B, N, V)
        found = pick(logits, uniform[:, index, 0])  # (B, N)
        keep = _surest(_confidence(logits, found, uniform[:, index, 1], wander, index / passes), hidden)
        left = torch.minimum((wanted * math.cos(math.pi / 2 * (index + 1) / passes)).long(), hidden.sum(1) - 1)
        reveal = hidden & (keep < (hidden.sum(1) - left)[:, None])
        tokens, hidden = torch.where(reveal, found, tokens), hidden & ~reveal
    return tokens


def _confidence(logits: Tensor, found: Tensor, uniform: Tensor, wander: float | None, progress: float) -> Tensor:
    """(B, N): log-probability of what was drawn with noise, or noise alone."""
    gumbel = -torch.log(-torch.log(precise(uniform).clamp(min=1e-12)))
    if wander is None:
        return gumbel
    sure = logits.log_softmax(-1).gather(-1, found[..., None])[..., 0]
    return sure + wander * (1 - progress) * gumbel


def _surest(confidence: Tensor, hidden: Tensor) -> Tensor:
    """(B, N): the rank of each hidden place by its confidence, 0 for the surest."""
    order = confidence.masked_fill(~hidden, -math.inf).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1)


# --- scale by scale ---------------------------------------------------------------------------------------------------


def scale_by_scale(
    logits_after: Callable[[Tensor], Tensor],
    pick: Pick,
    uniform: Tensor,
    scales: Sequence[int],
    *,
    known: Tensor | None = None,
) -> Tensor:
    """(B, N) tokens of maps with sides `scales`, one pass for each map, N = sum of the squares of the sides.

    logits_after   (B, n) tokens of the maps so far -> (B, s s, V), for the next side s
    uniform        (B, N)
    known          (B, N) tokens to keep; UNKNOWN where one is to be drawn
    Source: Tian et al. 2024, arXiv 2404.02905, equation 6.
    """
    tokens = torch.zeros(len(uniform), 0, dtype=torch.int64, device=uniform.device)
    for side in scales:
        first, last = tokens.shape[1], tokens.shape[1] + side * side
        found = pick(logits_after(tokens), uniform[:, first:last])  # (B, s s)
        if known is not None:
            found = torch.where(known[:, first:last] == UNKNOWN, found, known[:, first:last])
        tokens = torch.cat([tokens, found], dim=1)
    return tokens
