"""What every text encoder is: a module from strings to vectors; and the frozen ones, which remember what they read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LONGEST = 64  # tokens of a caption; what is longer is cut off

Span = tuple[int, int, float]  # characters start to stop of a text, and the weight of what stands there


class Read(NamedTuple):
    """One text as it was read.

    tokens    (L, width)
    offsets   (L, 2) characters that each token stands for; equal where it stands for none
    """

    tokens: Tensor
    offsets: Tensor


class TextEncoder(nn.Module, ABC):
    """Texts -> (B, L, width) vectors and a (B, L) mask of those that count; `width` is the length of a vector.

    L is that of the longest text. Padding is zeros, which the mask hides.
    """

    width: int

    @abstractmethod
    def read(self, texts: Sequence[str], device: torch.device) -> list[Read]:
        """Each text by itself."""

    def forward(
        self, texts: Sequence[str], device: torch.device, emphasis: Sequence[Sequence[Span]] | None = None
    ) -> tuple[Tensor, Tensor]:
        read = self.read(texts, device)
        tokens = [each.tokens for each in read]
        if emphasis is not None:
            tokens = [weighed(each, spans) for each, spans in zip(read, emphasis, strict=True)]
        mask = [torch.ones(len(each), dtype=torch.bool, device=device) for each in tokens]
        pad = nn.utils.rnn.pad_sequence
        return pad(tokens, batch_first=True), pad(mask, batch_first=True)


def weighed(read: Read, spans: Sequence[Span]) -> Tensor:
    """(L, width) tokens with those of each span moved away from the mean token, or towards it, by its weight.

    Scaling the difference keeps the sequence where the network expects it; weight 1 changes nothing.
    """
    weight = torch.ones(len(read.tokens), 1, device=read.tokens.device)
    start, stop = read.offsets[:, 0], read.offsets[:, 1]
    for first, last, value in spans:
        weight[(start < last) & (stop > first) & (stop > start)] = value
    mean = read.tokens.mean(0, keepdim=True)
    return mean + weight * (read.tokens - mean)


class FrozenText(TextEncoder):
    """A pretrained encoder: not saved with the model, not trained, and each distinct text is read once.

    Texts are read one by one, so that a text's vectors never depend on those beside it.
    """

    _MOST = 100_000  # texts remembered

    def __init__(self, network: Any, tokenizer: Any, width: int, identity: str) -> None:
        """`identity` names the weights; it goes with the model, which must be used with the same."""
        super().__init__()
        self.width, self.identity = width, identity
        self._shared = (network, tokenizer)  # in a tuple, so that it is no part of the model's own weights
        self._known: dict[str, Read] = {}

    def __deepcopy__(self, memo: dict) -> FrozenText:
        return self  # it never changes

    @torch.no_grad()
    def read(self, texts: Sequence[str], device: torch.device) -> list[Read]:
        for text in dict.fromkeys(texts):
            if text not in self._known:
                if len(self._known) >= self._MOST:
                    self._known.clear()
                self._known[text] = self._read(text)
        return [Read(*(part.to(device) for part in self._known[text])) for text in texts]

    @abstractmethod
    def _read(self, text: str) -> Read:
        """One text, on the CPU, float32."""


def pooled(tokens: Tensor, mask: Tensor) -> Tensor:
    """(B, L, W) and (B, L) -> (B, W): the mean of the tokens that count."""
    share = F.normalize(mask.to(tokens.dtype), p=1.0, dim=1)
    return (share[:, None] @ tokens).squeeze(1)
