"""Prompt expansion: a short description made longer by a language model of the user's choice, and never unasked.

Any service that speaks the chat protocol of OpenAI will do, one on the same machine too (Ollama, vLLM, llama.cpp).
Only the description is sent. What came back, what was asked and who wrote it stand in the record of every picture.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .errors import ConfigError, LimnerError
from .fetch import ask

KEY = "LIMNER_EXPAND_KEY"  # environment variable with the service's key; never written anywhere
LONGEST = 300  # characters of an expanded description
_TASK = (
    "You write captions of pictures. Rewrite the description that you are given as one caption of at most {words} "
    "words: name what is seen, its colours, its parts and where they are. Keep all that the description says and "
    "contradict none of it. Answer with the caption alone."
)


@dataclass(frozen=True)
class Expanded:
    """A description that a language model wrote.

    text     what the image model is told
    asked    what it was made of
    by       the language model and the service
    """

    text: str
    asked: str
    by: str


def expand_prompt(text: str, endpoint: str, *, model: str, words: int = 30) -> Expanded:
    """`text` as a longer caption, by `model` of the service at `endpoint`, such as http://localhost:11434/v1.

    words   at most, which the language model is asked to keep to
    Raises ConfigError for an empty text, LimnerError when the service does not answer with a caption.
    """
    if not text.strip():
        raise ConfigError("an empty text cannot be expanded; say what to show")
    if not model:
        raise ConfigError(f"say which model of {endpoint} shall expand the text")
    answer = ask(
        f"{endpoint.rstrip('/')}/chat/completions",
        {
            "model": model,
            "temperature": 0,
            "messages": [
                {"role": "system", "content": _TASK.format(words=words)},
                {"role": "user", "content": text},
            ],
        },
        key=os.environ.get(KEY, ""),
    )
    try:
        written = answer["choices"][0]["message"]["content"]
        caption = " ".join(written.split()).strip("\"'“”")[:LONGEST].strip()
    except (KeyError, IndexError, TypeError, AttributeError):
        raise LimnerError(f"{endpoint} gives no caption: {str(answer)[:200]}") from None
    if not caption:
        raise LimnerError(f"{endpoint} gives an empty caption; ask without expansion")
    return Expanded(caption, text, f"{model} at {endpoint}")
