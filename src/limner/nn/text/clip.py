"""The text tower of a CLIP as latent diffusion models use it: a fixed number of tokens, padding among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .encoder import Read, Span, weighed


class ClipText(nn.Module):
    """Texts -> (B, length, width) last hidden states, all of them seen by the network that follows. Frozen.

    tower       a CLIPTextModel of transformers
    tokenizer   {"json": a tokenizer as the tokenizers library writes it, "pad": id of padding, "length": tokens}
    """

    def __init__(self, tower: nn.Module, tokenizer: dict[str, Any]) -> None:
        from tokenizers import Tokenizer

        super().__init__()
        self.tower = tower.requires_grad_(False)
        self._tokenizer: Any = Tokenizer.from_str(tokenizer["json"])
        length, pad = int(tokenizer["length"]), int(tokenizer["pad"])
        self._tokenizer.enable_truncation(length)
        self._tokenizer.enable_padding(length=length, pad_id=pad, pad_token=self._tokenizer.id_to_token(pad))

    @torch.no_grad()
    def forward(self, texts: Sequence[str], device: torch.device, emphasis: Sequence[Sequence[Span]] | None) -> Tensor:
        """(B, length, width); each text is read by itself, so that its vectors never depend on those beside it."""
        read = {text: self._read(text, device) for text in dict.fromkeys(texts)}
        spans = [()] * len(texts) if emphasis is None else emphasis
        return torch.stack(
            [weighed(read[text], of) if of else read[text].tokens for text, of in zip(texts, spans, strict=True)]
        )

    def _read(self, text: str, device: torch.device) -> Read:
        found = self._tokenizer.encode(text)
        tokens = self.tower(input_ids=torch.tensor([found.ids], device=device)).last_hidden_state[0]
        return Read(tokens.float(), torch.tensor(found.offsets, device=device))
