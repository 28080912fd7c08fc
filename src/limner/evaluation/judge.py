"""Evaluation during training: one metric of a few samples, as a score that picks the best model."""

from __future__ import annotations

from dataclasses import replace

from ..errors import ConfigError
from ..features.extractor import Extractor
from ..metrics.number import Number
from ..model import Model
from ..types import Condition
from . import sides
from .material import Material, NotApplicable
from .measures import Measure
from .sides import Reference


class Judge:
    """Scores models of one run: the first number of a measure, turned so that lower is better.

    All models are judged by samples of the same seed against the same real images, so that they differ in nothing else.
    """

    def __init__(
        self, measure: Measure, reference: Reference, extractor: Extractor | None, *, images: int, seed: int
    ) -> None:
        self._measure, self._images, self._seed = measure, images, seed
        self._material = Material(
            reference.real,
            reference.real,
            reference.spec,
            split=reference.split,
            train=reference.train,
            held_out=reference.held_out,
            extractor=extractor,
            seed=seed,
            options={"fd_intervals": False},  # only the value counts here, and intervals take ten times as long
        )
        self.bank: Condition = Condition()

    def __call__(self, model: Model) -> float:
        """The score of a model. Raises ConfigError when the measure does not fit the model or the data."""
        number = self.measure(model)
        return -number.value if number.better == "higher" else number.value

    def measure(self, model: Model) -> Number:
        """The number itself."""
        generated = sides.sampled(model, self.bank, self._images, seed=self._seed)
        kept = dict(self._material._features)  # those of the real side stay; those of the samples are not kept
        material = replace(self._material, generated=generated, model=model, bank=self.bank, _features=kept)
        try:
            numbers = self._measure.load()(material)
        except NotApplicable as reason:
            raise ConfigError(f"evaluate_metric={self._measure.name} cannot pick the best model: {reason}") from None
        self._material._features.update(
            {key: value for key, value in kept.items() if key[1] == self._material.real.digest}
        )
        return numbers[0]
