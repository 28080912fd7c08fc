"""Any text encoder or language model of Hugging Face's transformers, from a folder or by its id on the hub."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ...errors import ModelError, require
from ...fetch import offline
from .encoder import LONGEST, FrozenText, Read


class HuggingFaceText(FrozenText):
    """(L, width) last hidden states: of the encoder of a T5, the text tower of a CLIP, a language model as it is.

    source   a folder with config.json, tokenizer and .safetensors, or an id as `owner/name`
    Weights are read from .safetensors alone, and no code of the repository is run. Raises MissingExtra and ModelError.
    """

    def __init__(self, source: str) -> None:
        require("transformers", "transformers")
        network, tokenizer, identity = _loaded(source)
        width = getattr(network.config, "hidden_size", None) or network.config.d_model
        super().__init__(network, tokenizer, width, identity)

    def _read(self, text: str) -> Read:
        network, tokenizer = self._shared
        fast = bool(getattr(tokenizer, "is_fast", False))
        given = tokenizer(text, return_tensors="pt", truncation=True, max_length=LONGEST, return_offsets_mapping=fast)
        places = given.pop("offset_mapping", None)
        if given["input_ids"].shape[1] == 0:  # a language model reads nothing in an empty text
            start = tokenizer.bos_token_id or tokenizer.eos_token_id or 0
            given, places = {"input_ids": torch.tensor([[start]])}, None
        tokens = network(**given).last_hidden_state[0].float()
        return Read(tokens, torch.zeros(len(tokens), 2, dtype=torch.int64) if places is None else places[0])


@lru_cache(maxsize=2)
def _loaded(source: str) -> tuple[Any, Any, str]:
    from transformers import AutoModel, AutoTokenizer

    local = offline() or Path(source).is_dir()
    options = {"local_files_only": local, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        with torch.random.fork_rng(devices=[]):  # the model's own first weights are not to depend on this
            model = AutoModel.from_pretrained(source, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"text={source!r} is not a text encoder that can be had: {first}; give a folder with config.json, a "
            f"tokenizer and .safetensors, or an id of a model that has them"
        ) from None
    model = _text_part(model).requires_grad_(False).eval()
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return model, tokenizer, digest.hexdigest()


def _text_part(model: Any) -> Any:
    """The part of a loaded model that reads text."""
    if hasattr(model, "text_model"):
        return model.text_model
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
