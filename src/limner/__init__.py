"""Limner: train, judge and use image generators on your own images.

    import limner
    model = limner.train("vae", "builtin:openmoji", out="runs/first", budget="2m")
    model.sample(16, seed=0).save("samples")

Everything public is listed in `__all__` and imported when first used, so that `import limner` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "train": ".api",
    "rehearse": ".api",
    "resume": ".api",
    "load": ".api",
    "open_data": ".data",
    "DataConfig": ".data",
    "evaluate": ".judging",
    "compare": ".judging",
    "leaderboard": ".contest",
    "advise": ".advice",
    "expand_prompt": ".prompts",
    "Evaluation": ".evaluation.evaluate",
    "Number": ".metrics.number",
    "Trained": ".trained",
    "Dataset": ".data",
    "Pictures": ".made",
    "Recipe": ".made",
    "LimnerError": ".errors",
}

__all__ = [
    "DataConfig",
    "Dataset",
    "Evaluation",
    "LimnerError",
    "Number",
    "Pictures",
    "Recipe",
    "Trained",
    "__version__",
    "advise",
    "compare",
    "evaluate",
    "expand_prompt",
    "leaderboard",
    "load",
    "open_data",
    "rehearse",
    "resume",
    "train",
]

if TYPE_CHECKING:
    from .advice import advise
    from .api import load, rehearse, resume, train
    from .contest import leaderboard
    from .data import DataConfig, Dataset, open_data
    from .errors import LimnerError
    from .evaluation.evaluate import Evaluation
    from .judging import compare, evaluate
    from .made import Pictures, Recipe
    from .metrics.number import Number
    from .prompts import expand_prompt
    from .trained import Trained


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'limner' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
