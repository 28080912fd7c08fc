"""A small text encoder that is trained with the model, and the vocabulary it reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import require
from ..attention import Attention, heads_for
from ..embedding import sinusoids
from .encoder import LONGEST, Read, TextEncoder

START = "<text>"
VOCABULARY = 2048


def learn_tokenizer(captions: Iterable[str], *, size: int = VOCABULARY) -> str:
    """A byte-level BPE vocabulary of the captions, lower case, as the JSON of a tokenizer.

    The same captions in the same order give the same vocabulary. Any text can be read with it.
    Source: Sennrich et al. 2016, arXiv 1508.07909. Raises MissingExtra without the tokenizers library.
    """
    require("tokenizers", "text")
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    return tokenizer.to_str()


class OwnText(TextEncoder):
    """Tokens of a learned vocabulary, through `depth` transformer blocks."""

    positions: Tensor

    def __init__(self, tokenizer: str, *, width: int = 128, depth: int = 2) -> None:
        """`tokenizer` is what learn_tokenizer gave."""
        require("tokenizers", "text")
        from tokenizers import Tokenizer

        super().__init__()
        self.width = width
        self._tokenizer: Any = Tokenizer.from_str(tokenizer)
        self._tokenizer.enable_truncation(LONGEST - 1)
        self._start = self._tokenizer.token_to_id(START)
        self.words = nn.Embedding(self._tokenizer.get_vocab_size(), width)
        nn.init.normal_(self.words.weight, std=0.5)
        self.register_buffer("positions", sinusoids(torch.arange(LONGEST), width), persistent=False)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(depth))

    def read(self, texts: Sequence[str], device: torch.device) -> list[Read]:
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = [torch.tensor([self._start, *each.ids], device=device) for each in encoded]
        lengths = [len(each) for each in ids]
        padded = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        mask = torch.arange(padded.shape[1], device=device) < torch.tensor(lengths, device=device)[:, None]
        x = self.words(padded) + 0.1 * self.positions[: padded.shape[1]]
        for block in self.blocks:
            x = block(x, mask)
        offsets = [torch.tensor([(0, 0), *each.offsets], device=device) for each in encoded]
        return [Read(row[:n], place) for row, n, place in zip(x.float(), lengths, offsets, strict=True)]

    def __deepcopy__(self, memo: dict) -> OwnText:
        copied = OwnText(self._tokenizer.to_str(), width=self.width, depth=len(self.blocks)).to(
            self.words.weight.device
        )
        copied.load_state_dict(self.state_dict())
        for mine, theirs in zip(self.parameters(), copied.parameters(), strict=True):
            theirs.requires_grad_(mine.requires_grad)
        return copied.train(self.training)


class _Block(nn.Module):
    """A transformer block without order of its own: (B, L, width) -> same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads_for(width, 32))
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x), mask=mask)
        return x + self.network(self.norm2(x))
