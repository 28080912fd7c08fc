"""Captions as sequences of vectors: a small encoder trained with the model, or a pretrained one that stays as it is."""

from __future__ import annotations

from pathlib import Path

from ...errors import ConfigError, MissingExtra, unknown
from ...types import DataSpec
from .encoder import TextEncoder

NONE, OWN, MINILM, AUTO = "none", "own", "minilm", "auto"


def text_encoder(name: str, data: DataSpec) -> TextEncoder:
    """The encoder called `name`.

    own      a transformer trained with the model, on a vocabulary of the training captions (`data.tokenizer`)
    minilm   all-MiniLM-L6, whose weights come in a Python package: offline, English, 22.7 M parameters, frozen
    auto     minilm where it is installed, else own
    others   a folder or id (`owner/name`) of Hugging Face's transformers (T5, CLIP, Qwen …), frozen

    Raises ConfigError for other names and where the data has no captions to learn from, MissingExtra without the
    package it needs.
    """
    if name == AUTO:
        try:
            return text_encoder(MINILM, data)
        except MissingExtra:
            return text_encoder(OWN, data)
    if name == OWN:
        from .own import OwnText

        if not data.tokenizer:
            raise ConfigError("text=own learns from captions, and this data has none; use text=minilm, or text=none")
        return OwnText(data.tokenizer)
    if name == MINILM:
        from .minilm import MiniLM

        return MiniLM()
    if "/" not in name and not Path(name).is_dir():
        raise ConfigError(
            f"{unknown('text', name, [NONE, AUTO, OWN, MINILM])}; or give a folder, or an id as owner/name"
        )
    from .huggingface import HuggingFaceText

    return HuggingFaceText(name)


__all__ = ["AUTO", "MINILM", "NONE", "OWN", "TextEncoder", "text_encoder"]
