"""What a network is told of each image: classes and attributes as one vector, a caption as a sequence of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ..nn.condition import ConditionEncoder, hide, unconditional
from ..nn.text import NONE, text_encoder
from ..nn.text.emphasis import parse
from ..nn.text.encoder import Span, pooled
from ..rng import Rng
from ..types import Condition, DataSpec


@dataclass
class Known:
    """What is known of each image.

    vector   (B, W)   classes and attributes; zeros where unknown
    text     tokens (B, L, T) and which of them count (B, L); None for a model that reads no text
    """

    vector: Tensor
    text: tuple[Tensor, Tensor] | None = None


class Conditioning(nn.Module):
    """Reads conditions. `width` and `text_width` are the lengths of its vectors, 0 for none.

    Of a text, the mean of its tokens is part of the vector, so that networks which read no sequence hear it too.
    """

    place: Tensor

    def __init__(self, data: DataSpec, *, conditional: Literal["auto", "none"], text: str = NONE) -> None:
        super().__init__()
        self.rows = ConditionEncoder(data if conditional == "auto" else unconditional(data))
        self.text = None if text == NONE else text_encoder(text, data)
        self.text_width = 0 if self.text is None else self.text.width
        self.width = self.rows.width + self.text_width
        self.register_buffer("place", torch.zeros(()), persistent=False)  # knows the device

    def forward(self, condition: Condition, rows: int) -> Known:
        """What is known of `rows` images of that condition."""
        return self._known(self.rows(condition, rows, self.place.device), condition.text, condition.emphasis)

    def hidden(self, condition: Condition, rows: int, share: float, rng: Rng) -> Known:
        """As forward, with the classes and attributes of that share of the images hidden, and all captions of as many.

        They are hidden independently, so that one can sample with either or none.
        """
        vector = hide(self.rows(condition, rows, self.place.device), share, rng)
        texts = condition.text
        if self.text is not None and texts is not None and share:
            gone = (rng.uniform() < share).tolist()
            texts = ["" if unseen else text for text, unseen in zip(texts, gone, strict=True)]
        return self._known(vector, texts)

    def nothing(self, rows: int, *, negative: str = "") -> Known:
        """Nothing known, or only what a negative description says."""
        plain, spans = parse(negative)
        return self(Condition(text=[plain] * rows, emphasis=[spans] * rows), rows)

    def _known(self, vector: Tensor, texts: list[str] | None, emphasis: list[list[Span]] | None = None) -> Known:
        if self.text is None:
            return Known(vector)
        tokens, mask = self.text(texts or [""] * len(vector), self.place.device, emphasis)
        return Known(torch.cat([vector, pooled(tokens, mask)], dim=1), (tokens, mask))


class ConditionRows(nn.Module):
    """A condition as one row of numbers an image: classes and attributes, and beside them the mean of its text.

    width   length of a row; a text that is not given is zeros, like every other unknown
    """

    def __init__(self, data: DataSpec, *, conditional: Literal["auto", "none"], text: str = NONE) -> None:
        super().__init__()
        self.rows = ConditionEncoder(data if conditional == "auto" else unconditional(data))
        self.text = None if text == NONE else text_encoder(text, data)
        self.width = self.rows.width + (0 if self.text is None else self.text.width)

    def forward(self, condition: Condition, rows: int, device: torch.device | str) -> Tensor:
        """(rows, width) float32."""
        known = self.rows(condition, rows, device)
        if self.text is None:
            return known
        if condition.text is None:
            return torch.cat([known, known.new_zeros(rows, self.text.width)], dim=1)
        read = pooled(*self.text(condition.text, torch.device(device), condition.emphasis))
        return torch.cat([known, read], dim=1)
