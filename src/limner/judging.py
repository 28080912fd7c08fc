"""The Python face of evaluation: judge a model or a folder of images, and compare several."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import api, durable, features
from .config import from_dict
from .data import DataConfig
from .data.full import full_size
from .errors import ConfigError, DataError, UnlikeProtocols
from .evaluation import compare as comparing
from .evaluation import measures, sides, subject
from .evaluation.evaluate import Evaluation
from .evaluation.evaluate import evaluate as take
from .evaluation.gate import Decision, Limit, Rules, decide
from .evaluation.material import ImageSet, Material
from .evaluation.restoring import Restored, evaluate_restorer
from .evaluation.seeds import pooled
from .evaluation.sides import Reference
from .evaluation.subject import Subject
from .features.extractor import Extractor, Features
from .features.store import features_of
from .model import Transforms
from .trained import Trained
from .training.folder import RunFolder

IMAGES = 2_000  # on each side, unless told otherwise
RECORD, PAGE = "evaluation.json", "report.html"
NO_FEATURES, SELF_TRAINED = "none", "self"  # names of `features` that are no feature space of their own


@dataclass(frozen=True)
class Settings:
    """How to judge; part of the protocol of every number.

    metrics    names of measures; None for the default ones
    n          images on each side, at most
    seed       of the samples
    split      of the real side: train, val, test or auto
    features   the feature space: lite0, inception[:PATH], self, hf:ID, or the path of a TorchScript file
    floors     also measure real images, a Gaussian, the mean image and noise, to set the scale
    options    settings of measures by name: preset, importance, detector …
    sampling   options of sampling, as `limner sample --set`
    """

    metrics: Sequence[str] | None = None
    n: int = IMAGES
    seed: int = 0
    split: str = "auto"
    features: str = "lite0"
    floors: bool = True
    options: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ConfigError(f"n={self.n} is below 2, which an evaluation needs")
        if self.split not in ("auto", *sides.SPLITS):
            raise ConfigError(f"split={self.split!r} is none of auto, {', '.join(sides.SPLITS)}")


@dataclass(frozen=True)
class Judged:
    """What was judged and with what: enough to make the page."""

    evaluation: Evaluation
    material: Material

    def save(self, folder: str | Path) -> Path:
        """Write evaluation.json and report.html to a folder; returns the page's path."""
        from .evaluation.report import page

        target = Path(folder)
        durable.make_folder(target)
        self.evaluation.save(target / RECORD)
        durable.write_file(target / PAGE, page(self.evaluation, self.material).encode())
        return target / PAGE


@dataclass(frozen=True)
class JudgedRestorer:
    """A restorer that was judged, with pictures for the page."""

    restored: Restored

    @property
    def evaluation(self) -> Evaluation:
        return self.restored.evaluation

    def save(self, folder: str | Path) -> Path:
        """Write evaluation.json and report.html to a folder; returns the page's path."""
        target = Path(folder)
        durable.make_folder(target)
        self.evaluation.save(target / RECORD)
        durable.write_file(target / PAGE, self.restored.page().encode())
        return target / PAGE


def evaluate(
    what: str | Path | Trained,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    data_config: DataConfig | Mapping[str, Any] | None = None,
    weights: str | None = None,
    **settings: Any,
) -> Evaluation:
    """Judge a run, a model folder or a folder of images against real ones.

    what          a run, checkpoint or model folder, a loaded model, or any folder or archive of images
    data          the real images; by default those that the run was trained on
    out           folder for evaluation.json and report.html
    say           told what is being done
    data_config   how the images of a folder are read; a model is judged at its own size
    weights       raw, ema_short or ema_long instead of those that the run chose; of a model alone
    settings      fields of Settings: metrics=["fd", "kid"], n=2000, seed=0, split="test", features="lite0" …

    Raises ConfigError, DataError, NotAble and MissingExtra. A measure that does not fit is listed with the reason.
    """
    judged = judge(what, data, say=say, data_config=data_config, weights=weights, **settings)
    if out is not None:
        judged.save(out)
    return judged.evaluation


def judge(
    what: str | Path | Trained,
    data: str | Path | None = None,
    *,
    say: Callable[[str], None] = lambda text: None,
    data_config: DataConfig | Mapping[str, Any] | None = None,
    weights: str | None = None,
    **settings: Any,
) -> Judged | JudgedRestorer:
    """As `evaluate`, with the material that the numbers were measured on."""
    chosen = from_dict(Settings, settings, where="evaluate")
    reading = data_config if isinstance(data_config, DataConfig) else from_dict(DataConfig, data_config or {})
    if (restorer := _restorer(what, weights)) is not None:
        _check_restoring(chosen, reading)
        return _restoring(restorer, data, chosen, say)
    taken = checked(chosen)
    judged = _subject(what, reading, weights)
    source = data if data is not None else _own_data(what)
    reference = _reference(source, judged, chosen)
    extractor = extractor_of(chosen.features, reference, chosen.seed)
    say(f"making {chosen.n:,} images of {judged.name}" if judged.bundle else f"reading {judged.name}")
    generated = _at_most(judged.generated(chosen.n, seed=chosen.seed, options=chosen.sampling or {}), chosen.n)
    material = _material(judged, reference, generated, extractor, chosen)
    floors = sides.floors(reference, len(generated)) if chosen.floors else ()
    about = {**judged.about, "data": str(source), "split": reference.split, "images": len(generated)}
    if asked := _flags(chosen, reading, weights):
        about["asked"] = asked
    if judged.digest is not None and judged.digest != (reference.train.digest if reference.train else None):
        about["trained on"] = "other images than these: nothing is said about memorisation"
    found = take(material, taken, subject=judged.name, about=about, floors=floors, say=say)
    if not found.numbers:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.skipped)
        raise ConfigError(f"none of the metrics asked for can be measured of {judged.name}: {reasons}")
    return Judged(found, material)


def checked(chosen: Settings) -> list[measures.Measure]:
    """The measures to take; raises ConfigError for what can be told to be wrong before any image is made."""
    measures.check_options(chosen.options or {})
    taken = measures.chosen(list(chosen.metrics) if chosen.metrics is not None else None)
    if chosen.features not in (NO_FEATURES, SELF_TRAINED):
        features.load(chosen.features)
    return taken


def _restorer(what: str | Path | Trained, weights: str | None) -> Trained | None:
    """A model that restores what a chain of degradations has done; None for any other."""
    if not isinstance(what, Trained):
        if not is_model(Path(what)):
            return None
        what = api.load(what, weights=weights)
    return what if isinstance(what.network, Transforms) and what.data.degrade else None


def _flags(chosen: Settings, reading: DataConfig, weights: str | None) -> str:
    """What was asked for beyond n, split and seed, as `limner evaluate` takes it; for the page, which says it again."""
    words = {
        "--metrics": ",".join(chosen.metrics) if chosen.metrics is not None else None,
        "--features": None if chosen.features == Settings.features else chosen.features,
        "--resolution": None if reading.resolution is None else str(reading.resolution),
        "--weights": weights,
    }
    said = [part for flag, value in words.items() if value is not None for part in (flag, value)]
    for flag, values in (("--set", chosen.options), ("--sampling", chosen.sampling)):
        said += [part for key, value in (values or {}).items() for part in (flag, f"{key}={value}")]
    return shlex.join(said if chosen.floors else [*said, "--no-floors"])


def _check_restoring(chosen: Settings, reading: DataConfig) -> None:
    """Raise ConfigError for what a restorer, which makes no pictures of its own, cannot be judged by."""
    usual = Settings()
    for name in ("metrics", "features", "floors", "sampling"):
        if (value := getattr(chosen, name)) not in (getattr(usual, name), {}):
            raise ConfigError(
                f"{name}={value!r} is for models that make pictures of their own; a restorer is judged by PSNR and "
                f"SSIM of what it restores, with the option degrade"
            )
    if reading != DataConfig():
        raise ConfigError("a restorer is judged on whole pictures; leave out how they are to be read")


def _restoring(
    trained: Trained, data: str | Path | None, chosen: Settings, say: Callable[[str], None]
) -> JudgedRestorer:
    """Judge a restorer on whole pictures, degraded as in its training or as `options` say under `degrade`."""
    source = data if data is not None else _own_data(trained)
    options = dict(chosen.options or {})
    chain = str(options.pop("degrade", trained.data.degrade))
    if options:
        raise ConfigError(f"a restorer is judged with the option degrade alone, not {', '.join(options)}")
    split, names, pictures = full_size(source, DataConfig(), split=chosen.split, most=chosen.n)
    name = str(trained.run.path) if trained.run is not None else trained.name
    about = {"model": trained.name, "model_sha256": trained.sha256[:16], "data": str(source), "split": split}
    found = evaluate_restorer(
        trained.network,
        pictures,
        names,
        chain=chain,
        subject=name,
        about=about,
        split=split,
        seed=chosen.seed,
        say=say,
    )
    return JudgedRestorer(found)


def compare(
    subjects: Sequence[str | Path | Evaluation],
    data: str | Path,
    *,
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> tuple[list[Evaluation], list[comparing.Difference]]:
    """Judge several runs or folders alike, and say which differences are real: (evaluations, differences).

    subjects   runs, model folders, folders of images, evaluation.json files or evaluations made before; runs of one
               method with other seeds, joined by commas, are one subject with means and intervals over the runs
    Raises UnlikeProtocols when two numbers of one name were measured differently, or there are none of one name.
    """
    if len(subjects) < 2:
        raise ConfigError(f"{len(subjects)} subject cannot be compared; name two or more")
    evaluations = [_evaluated(each, data, say, settings) for each in subjects]
    found = comparing.differences(evaluations)
    for other in evaluations[1:]:
        if not any(difference.second == other.subject for difference in found):
            raise UnlikeProtocols(
                f"{evaluations[0].subject} and {other.subject} have no number in common; measure both alike"
            )
    return evaluations, found


def gate(evaluation: Evaluation, limits: Sequence[str] = (), *, copying: bool = True) -> Decision:
    """Whether the model may be shared, as far as its numbers tell.

    limits    that must hold too, such as `FD-Lite0<=40`
    copying   ask that there is no sign of copied training images, and that membership inference fails
    """
    held = tuple(map(Limit.parse, limits))
    rules = Rules(limits=held) if copying else Rules((), math.inf, held)
    return decide(evaluation.numbers, rules, skipped=dict(evaluation.skipped))


def write_comparison(
    evaluations: Sequence[Evaluation], differences: Sequence[comparing.Difference], against: str | Path, path: Path
) -> None:
    """Write the page of several subjects side by side."""
    from .evaluation.report import comparison_page

    durable.make_folder(path.parent)
    durable.write_file(path, comparison_page(evaluations, differences, str(against)).encode())


def _evaluated(
    what: str | Path | Evaluation, data: str | Path, say: Callable[[str], None], settings: Mapping[str, Any]
) -> Evaluation:
    if isinstance(what, Evaluation):
        return what
    if "," in str(what) and not Path(what).exists():
        each = [_evaluated(part.strip(), data, say, settings) for part in str(what).split(",") if part.strip()]
        return pooled(each, str(what))
    if Path(what).suffix == ".json":
        return Evaluation.load(Path(what))
    if is_model(Path(what)):
        settings = {name: value for name, value in settings.items() if name != "data_config"}  # it is for the folders
    return evaluate(what, data, say=say, **settings)


def _subject(what: str | Path | Trained, reading: DataConfig, weights: str | None) -> Subject:
    if not isinstance(what, Trained):
        if not is_model(Path(what)):
            if weights is not None:
                raise ConfigError(f"weights={weights} is for runs, and {what} is a folder of images; leave it out")
            return subject.of_folder(Path(what), reading)
        what = api.load(what, weights=weights)
    if reading != DataConfig():
        raise ConfigError(f"a model is judged at its own size; leave out how images are read ({what})")
    saved = what.run.read_config()["data"] if what.run is not None else {}
    name = str(what.run.path) if what.run is not None else what.name
    return subject.of_model(what.loaded, name=name, reading=saved, digest=what.about.get("dataset_digest"))


def is_model(path: Path) -> bool:
    """Whether a path is a run, a checkpoint or a model folder, and not a folder of images."""
    return (path / "config.json").is_file()


def _reference(data: str | Path, judged: Subject, settings: Settings) -> Reference:
    """The real side, in the shape of the images that are judged. Raises DataError when there is none."""
    for reading in judged.readings:
        found = sides.reference(data, reading, n=settings.n, split=settings.split)
        if found.spec.shape == judged.shape:
            return found
    raise DataError(f"{data} cannot be brought to the shape {judged.shape} of {judged.name}")


def _own_data(what: str | Path | Trained) -> str:
    """The data that a run was trained on."""
    run = what.run if isinstance(what, Trained) else RunFolder(Path(what))
    if run is None or not run.is_run:
        raise ConfigError(f"{what} does not say which data it was made from; name real images to hold it against")
    return str(run.read_config()["data"]["path"])


def _at_most(images: ImageSet, n: int) -> ImageSet:
    """The first `n`: of a folder a keyed choice, so that its order plays no part."""
    import numpy as np

    from .rng import generator

    if len(images) <= n:
        return images
    return images.take(np.sort(generator(0, "evaluation folder").permutation(len(images))[:n]))


def _material(
    judged: Subject, reference: Reference, generated: ImageSet, extractor: Extractor | None, settings: Settings
) -> Material:
    known = judged.digest is None or (reference.train is not None and judged.digest == reference.train.digest)
    return Material(
        generated=generated,
        real=reference.real,
        spec=reference.spec,
        split=reference.split,
        train=reference.train if known else None,
        held_out=reference.held_out,
        extractor=extractor,
        model=judged.bundle.model if judged.bundle else None,
        bank=judged.bundle.bank if judged.bundle else None,
        seed=settings.seed,
        options=settings.options or {},
        store=_store,
    )


def extractor_of(name: str, reference: Reference, seed: int) -> Extractor | None:
    """The feature space of that name; `none` for no features, `self` for a net trained on the training images."""
    if name == NO_FEATURES:
        return None
    if name == SELF_TRAINED:
        from .evaluation.classifiers import self_features

        if reference.train is None:
            raise ConfigError("features=self trains a net on the train split, which these data do not have")
        return self_features(reference.train, reference.spec, seed=seed)
    return features.load(name)


def _store(extractor: Extractor, images: ImageSet) -> Features:
    """Features from the cache, or computed and kept there."""
    return features_of(extractor, images.chunks(), count=len(images), key=images.digest)
