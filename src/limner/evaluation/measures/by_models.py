"""What other networks make of the images: can one learn from them, and is what was asked for seen in them?

Every number stands beside the same number of real images, because a judge errs too. Judges are trained on training
images and asked about others; where only one set of real images is given, half of it is for training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from ...errors import DataError
from ...metrics import accuracy as acc
from ...metrics.number import Interval, Number
from ...metrics.recognition import Recognition
from ...models.classifier import Classifier, questions
from ...rng import generator
from ...types import Attribute, DataSpec
from .. import classifiers, detectors
from ..material import ImageSet, Material, NotApplicable
from .options import whole_or_none

JUDGE_SEED = 0  # not the material's: one judge for all models and all seeds
FEWEST = 4  # real images with labels, to train with one half and ask about the other
CALIBRATED = 40  # real images, at least, to fit a temperature to one half and look at the other
DETECTOR_IMAGES = 200  # looked at on each side unless told otherwise: a detector takes a second or so for each

Answers = tuple[np.ndarray, np.ndarray]  # what a judge says of each image, and what is so
Notes = tuple[str, ...]


# --- the classification accuracy score ------------------------------------------------------------------------------


def cas(material: Material) -> list[Number]:
    """Accuracy of a classifier trained on made images and asked about real ones; the reverse; and real about real.

    All are trained on equally many images for equally long, so they differ in nothing but their images.
    options   as of `recognition`
    Source: Ravuri and Vinyals 2019, arXiv 1905.10887.
    """
    if len(material.spec.classes) < 2:
        raise NotApplicable(f"it tells classes apart, and the data has {len(material.spec.classes)}")
    spec = DataSpec(*material.spec.shape, classes=material.spec.classes)
    made = _known(material.generated, spec)
    if not len(made):
        raise NotApplicable("which class each of the images should show is not known; give images with classes")
    train, test, notes = _real_sides(material, spec)
    count = min(len(made), len(train))
    from_made, from_real = (_train(material, _some(side, count), spec) for side in (made, train))
    notes = (*notes, f"each classifier was trained once, on {count:,} images; the interval is of those asked about")
    real = _classes(from_real, test)
    return [
        _cas_number(material, "CAS (generated→real)", _classes(from_made, test), real, count, notes),
        _cas_number(material, "CAS (real→generated)", _classes(from_real, made), real, count, notes),
        _cas_number(material, "CAS (real→real)", real, real, count, notes),
    ]


def _cas_number(material: Material, name: str, answers: Answers, real: Answers, count: int, notes: Notes) -> Number:
    found = acc.accuracy(*answers)
    settings = {"trained on": count, "asked about": found.count, **_budget(material, count)}
    details = _by_class(answers, material.spec.classes) | {"real→real": acc.accuracy(*real).value}
    better: Any = "higher" if "generated" in name else "neither"
    protocol = material.protocol(name, features=False, **settings)
    return Number(name, found.value, better, protocol, found.interval, notes=notes, details=details)


def _classes(classifier: Classifier, images: ImageSet) -> Answers:
    """(N,) predicted and (N,) true classes."""
    return classifiers.predict(classifier, images).logits.argmax(axis=1), np.asarray(images.labels)


def _by_class(answers: Answers, names: tuple[str, ...]) -> dict[str, Any]:
    counts = acc.confusion(*answers, len(names))
    each = zip(names, acc.per_class(counts), strict=True)
    return {
        "balanced accuracy": acc.balanced_accuracy(counts),
        "per class": {name: None if share is None else _plain(share) for name, share in each},
        "confusion": counts.tolist(),
    }


# --- recognition by a classifier ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """How well one thing is recognised, in `count` images."""

    value: float
    interval: Interval | None
    count: int
    details: dict[str, Any]


def recognition(material: Material) -> list[Number]:
    """Whether a classifier trained on real images sees in the images the class and the attributes asked for.

    One number for the class and one for each attribute, each beside what the classifier reaches on real images that it
    was not trained on: it cannot see better than that, however good the images are.
    options   classifier_images   how many images the classifier is shown in training, repeats counted
              classifier          settings of models.classifier.ClassifierConfig, by name
    """
    spec = material.spec
    made = _known(material.generated, spec)
    if not len(made):
        raise NotApplicable("nothing was asked for in the images: neither classes nor attributes of them are known")
    train, test, notes = _real_sides(material, spec)
    classifier = _train(material, train, spec)
    settings = {"trained on": len(train), "asked about": len(test), **_budget(material, len(train))}
    numbers = []
    sides = [_answers(classifier, side) for side in (made, test)]
    for (question, _), *answers in zip(questions(spec), *sides, strict=True):
        found, real = (_seen(question, side, material.seed) for side in answers)
        if found is None:
            continue
        name = f"Recognition of {question.name}{' (Spearman)' if question.kind == 'continuous' else ''}"
        protocol = material.protocol(name, features=False, **settings)
        details = found.details | _calibrated(question, *answers) | {"on real images": _beside(real)}
        remarks = (*notes, _ceiling(real))
        numbers.append(Number(name, found.value, "higher", protocol, found.interval, notes=remarks, details=details))
    if not numbers:
        raise NotApplicable("what was asked for is one and the same in all images, or is known of too few")
    return numbers


def _answers(classifier: Classifier, images: ImageSet) -> list[Answers]:
    """For each question, of the images of which the answer is known: what is said and what is so, both encoded."""
    outputs = classifiers.predict(classifier, images).outputs
    values, known = classifiers.encoded(images, classifier.data)
    rows = [(known[:, at.start], at) for _, at in questions(classifier.data)]
    return [(outputs[chosen, at], values[chosen, at]) for chosen, at in rows]


def _seen(question: Attribute, answers: Answers, seed: int) -> _Found | None:
    """How well what is so is seen; None where that has no meaning: too few images, or one value only."""
    if question.kind != "continuous" and len(question.values) < 2:
        return None
    try:
        return _WAYS[question.kind](question, answers, seed)
    except DataError:
        return None


def _choice(question: Attribute, answers: Answers, seed: int) -> _Found:
    """One value out of several: accuracy."""
    logits, labels = _as_choice(question, answers)
    pair = logits.argmax(axis=1), labels
    found = acc.accuracy(*pair)
    return _Found(found.value, found.interval, found.count, _by_class(pair, question.values))


def _order(question: Attribute, answers: Answers, seed: int) -> _Found:
    """A continuous value: the rank correlation of what was asked for and what is seen."""
    found = acc.spearman(*answers)
    error = float(np.abs(answers[0] - answers[1]).mean()) * question.std
    return _Found(found.value, found.interval, found.count, {"mean absolute error": error})


def _several(question: Attribute, answers: Answers, seed: int) -> _Found:
    """Any number of values at once: the mean of their balanced accuracies."""
    found = acc.several(answers[0] > 0, answers[1] > 0, seed=seed)
    each = dict(zip(question.values, found.each, strict=True))
    return _Found(found.value, found.interval, found.count, {"per value": each})


_WAYS: dict[str, Callable[[Attribute, Answers, int], _Found]] = {
    "categorical": _choice,
    "binary": _choice,
    "multilabel": _several,
    "continuous": _order,
}


def _as_choice(question: Attribute, answers: Answers) -> Answers:
    """(N, K) logits and (N,) labels of a categorical or a binary answer."""
    outputs, values = answers
    if question.kind == "categorical":
        return outputs, values.argmax(axis=1)
    return np.concatenate([np.zeros_like(outputs), outputs], axis=1), (values[:, 0] > 0).astype(np.int64)


def _calibrated(question: Attribute, made: Answers, real: Answers) -> dict[str, Any]:
    """The mean probability of what was asked for, at a temperature fitted to every second real image.

    The calibration error is that of the other real images.
    """
    if question.kind not in ("categorical", "binary") or len(real[0]) < CALIBRATED:
        return {}
    (logits, labels), (real_logits, real_labels) = (_as_choice(question, answers) for answers in (made, real))
    heat = acc.temperature(real_logits[::2], real_labels[::2])
    own = acc.softmax(logits, heat)[np.arange(len(labels)), labels]
    return {
        "mean probability of what was asked for": float(own.mean()),
        "temperature": heat,
        "calibration error": acc.calibration_error(acc.softmax(real_logits[1::2], heat), real_labels[1::2]),
    }


def _beside(real: _Found | None) -> dict[str, Any] | None:
    if real is None:
        return None
    interval = None if real.interval is None else [real.interval.low, real.interval.high]
    return {"value": real.value, "interval": interval, "count": real.count, **real.details}


def _ceiling(real: _Found | None) -> str:
    if real is None:
        return "the same cannot be measured of real images, so it is not known how far the classifier can be trusted"
    between = "" if real.interval is None else f" ({real.interval.low:.3f} to {real.interval.high:.3f})"
    return f"of {real.count:,} real images that it was not trained on, the classifier reaches {real.value:.3f}{between}"


# --- recognition by a detector --------------------------------------------------------------------------------------


def detector(material: Material) -> list[Number]:
    """Whether an object detector finds in the images what was asked for, beside what it finds in real ones.

    options   detector          folder or Hugging Face id of an object-detection model
              detector_names    class -> what the detector calls it, where the words differ
              detector_images   how many images of each side are looked at; 200
              captions          what was asked for in words, one for each generated image, instead of the class
    """
    where = material.options.get("detector")
    if where is None:
        raise NotApplicable(
            "it needs an object detector and Limner brings none; "
            "give the folder or the Hugging Face id of one in the option detector"
        )
    judge = where if isinstance(where, detectors.Detector) else detectors.load(where)
    other = material.real if material.held_out is None else material.held_out
    captions = material.options.get("captions")
    made = _detected(material, judge, material.generated, captions)
    real = _detected(material, judge, other, None)
    if made is None:
        raise NotApplicable(
            f"nothing that was asked for is among the {len(judge.names)} things that {judge.name} knows; "
            "say in the option detector_names what it calls them"
        )
    parts = ("recall", "precision", "average_precision")
    names = material.options.get("detector_names", {})
    asked = {"names": dict(sorted(names.items())), "captions": None if captions is None else _key_of(captions)}
    return [_detector_number(material, judge, part, made, real, asked) for part in parts]


def _detected(material: Material, judge: detectors.Detector, images: ImageSet, texts: Any) -> Recognition | None:
    """Recognition of what those images should show; None where the detector knows nothing of it."""
    if texts is None:
        names: Mapping[str, str] = material.options.get("detector_names", {})
        words = {place: names.get(name, name) for place, name in enumerate(material.spec.classes)}
        labels = [-1] * len(images) if images.labels is None else np.asarray(images.labels).tolist()
        texts = [words.get(label, "") for label in labels]
    limit = whole_or_none(material, "detector_images") or DETECTOR_IMAGES
    return detectors.recognised(judge, images, texts, limit=limit, seed=material.seed)


def _detector_number(
    material: Material,
    judge: detectors.Detector,
    part: str,
    made: Recognition,
    real: Recognition | None,
    asked: Mapping[str, Any],
) -> Number:
    """`part` is one of the rates of Recognition, `asked` what says what was asked for."""
    rate, beside, words = getattr(made, part), None if real is None else getattr(real, part), part.replace("_", " ")
    settings = {"detector": judge.sha256, "prepared": judge.words, "looked at": made.pictures, **asked}
    note = "the same cannot be measured of real images" if beside is None else f"real images reach {beside.value:.3f}"
    protocol = material.protocol(f"detector {words}", features=False, **settings)
    details = {
        "chance": made.chance,
        "thresholds": list(made.thresholds),
        "recalls": list(made.recalls),
        "precisions": list(made.precisions),
        "on real images": None if beside is None else _plain(beside),
    }
    name = f"Detector {words} ({judge.name})"
    return Number(name, rate.value, "higher", protocol, rate.interval, notes=(note,), details=details)


# --- the real side, and the judge -----------------------------------------------------------------------------------


def _real_sides(material: Material, spec: DataSpec) -> tuple[ImageSet, ImageSet, Notes]:
    """(to train a judge on, to ask it about, notes): two sets without an image in common."""
    train = _known(material.real if material.train is None else material.train, spec)
    tests = [_known(side, spec) for side in (material.held_out, material.real) if side is not None]
    for test in tests:
        rest = _without(train, test)
        if len(rest) >= FEWEST // 2 and len(test) >= FEWEST // 2:
            left_out = len(train) - len(rest)
            words = f"{left_out:,} training images that are also among those asked about were left out"
            return rest, test, (words,) if left_out else ()
    whole = max((train, *tests), key=len)
    if len(whole) < FEWEST:
        raise NotApplicable(f"of only {len(whole)} real images is it known what they show; it needs {FEWEST} or more")
    order = generator(JUDGE_SEED, "halves").permutation(len(whole))
    first, second = (whole.take(np.sort(order[start::2])) for start in (0, 1))
    return first, second, ("there is one set of real images: the judge was trained on half and asked about the rest",)


def _known(images: ImageSet, spec: DataSpec) -> ImageSet:
    """Those of which a class or an attribute is known."""
    return _those(images, classifiers.encoded(images, spec)[1].any(axis=1))


def _without(images: ImageSet, others: ImageSet) -> ImageSet:
    """Those that are not, pixel for pixel, among the others."""
    if images.digest == others.digest:
        return images.take(np.zeros(0, np.int64))
    taken = set(_pixel_keys(others))
    return _those(images, np.array([key not in taken for key in _pixel_keys(images)], bool))


def _pixel_keys(images: ImageSet) -> list[bytes]:
    return [sha256(image.tobytes()).digest()[:16] for chunk in images.chunks() for image in chunk]


def _those(images: ImageSet, rows: Any) -> ImageSet:
    return images if rows.all() else images.take(np.flatnonzero(rows))


def _some(images: ImageSet, count: int) -> ImageSet:
    """`count` of them, chosen by the judge's seed."""
    if count == len(images):
        return images
    return images.take(np.sort(generator(JUDGE_SEED, "equally many").permutation(len(images))[:count]))


def _train(material: Material, images: ImageSet, spec: DataSpec) -> Classifier:
    shown, config = whole_or_none(material, "classifier_images"), material.options.get("classifier", {})
    return classifiers.train_classifier(images, spec, seed=JUDGE_SEED, shown=shown, config=config)


def _budget(material: Material, count: int) -> dict[str, Any]:
    """What of the training belongs to the protocol."""
    shown = whole_or_none(material, "classifier_images") or classifiers.images_to_show(count)
    chosen = {f"classifier.{name}": value for name, value in material.options.get("classifier", {}).items()}
    return {"shown in training": shown, "classifier": f"version {classifiers.VERSION}", **chosen}


def _key_of(texts: Any) -> str:
    """Equal keys mean the same texts in the same order."""
    return sha256("\n".join(map(str, texts)).encode()).hexdigest()[:16]


def _plain(found: Any) -> dict[str, Any]:
    """A share or a rate as JSON has it."""
    return {"value": found.value, "interval": [found.interval.low, found.interval.high]}
