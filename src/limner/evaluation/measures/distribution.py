"""How far the generated distribution is from the real one: Fréchet and kernel distances, and a classifier's score."""

from __future__ import annotations

from typing import Any

from ...errors import ConfigError, unknown
from ...metrics.classifier_score import SPLITS
from ...metrics.classifier_score import classifier_score as score_of
from ...metrics.frechet import EXTRAPOLATION_SIZES, frechet_distance, frechet_infinity
from ...metrics.frechet_interval import ROWS_PER_DIMENSION, FrechetEstimate, frechet_estimate
from ...metrics.kernel import (
    SUBSET_SIZE,
    Gaussian,
    Kernel,
    Polynomial,
    kernel_distance,
    kernel_subsets,
    median_bandwidth,
)
from ...metrics.number import Number
from ..material import Material, NotApplicable
from .options import whole_or_none

INCEPTION = "Inception"  # the one network whose distances have names of their own: FID, KID, IS
FEW_IMAGES = 2048  # below it published FIDs are not comparable at all
IMAGES_PER_CLASS = 10


def frechet(material: Material) -> list[Number]:
    """The Fréchet distance as published, then without the bias of finite samples.

    options   fd_intervals   False leaves out all but the published value, which takes a tenth of the time
              fd_infinity    True adds the extrapolation to endless images to the details
    """
    name = _named(material, "FID", "FD")
    generated, real = _both(material)
    if not _flag(material, "fd_intervals", True):
        value = frechet_distance(generated, real)
        return [Number(name, value, "lower", material.protocol("fd", features=True), notes=_few(material, name))]
    found = frechet_estimate(generated, real, seed=material.seed)
    details: dict[str, Any] = {"bias": found.bias, "debiased": found.corrected, "method": found.method}
    if _flag(material, "fd_infinity", False) and min(len(generated), len(real)) >= 2 * EXTRAPOLATION_SIZES:
        endless = frechet_infinity(generated, real, seed=material.seed)
        details["infinity"] = {"value": endless.value, "shares": endless.shares, "distances": endless.distances}
    published = Number(
        name,
        found.value,
        "lower",
        material.protocol("fd", features=True),
        found.again,
        notes=(_about_bias(material, found, generated.shape[1]), *_few(material, name)),
        details=details,
    )
    return [published] if found.method == "none" else [published, _debiased(material, name, found)]


def kernel(material: Material) -> list[Number]:
    """The unbiased kernel distance: over all pairs of images, with KID's cubic kernel, unless the options say else.

    options   kid_subsets     mean over so many random subsets of 1,000 images, as KID was published (100)
              kid_kernel      cubic or gaussian
              kid_bandwidth   of the Gaussian kernel; without it the median distance between images
    """
    generated, real = _both(material)
    chosen, settings = _kernel(material)
    cubic = isinstance(chosen, Polynomial)
    name = _named(material, "KID" if cubic else "MMD-Inception", "KID" if cubic else "MMD")
    subsets = whole_or_none(material, "kid_subsets")
    if subsets is None:
        found = kernel_distance(generated, real, kernel=chosen, seed=material.seed)
        protocol = material.protocol("kid", features=True, **settings)
        notes = ("around 0, and as often below, when the two sides are alike",)
        return [Number(name, found.value, "lower", protocol, found.interval, notes=notes)]
    if min(len(generated), len(real)) < SUBSET_SIZE:
        raise NotApplicable(f"subsets of {SUBSET_SIZE:,} need as many images on both sides; leave kid_subsets out")
    part = kernel_subsets(generated, real, kernel=chosen, subsets=subsets, seed=material.seed)
    protocol = material.protocol("kid", features=True, **settings, subsets=subsets, subset_size=SUBSET_SIZE)
    note = "the deviation of the subsets is no error: they share images. Without kid_subsets there is an interval"
    details = {"deviation of subsets": part.deviation}
    return [Number(name, part.value, "lower", protocol, notes=(note,), details=details)]


def classifier_score(material: Material) -> list[Number]:
    """The classifier score of the generated images by the extractor's own logits: IS where that is Inception.

    options   classifier_score_splits   disjoint parts for the published mean and deviation, 10
    """
    name = _named(material, "IS", "classifier score")
    logits = material.features(material.generated).logits
    if logits is None or logits.shape[1] < 2:
        raise NotApplicable("it needs a feature space whose network tells classes apart; this one has no logits")
    if len(logits) < 2:
        raise NotApplicable("it needs two images or more")
    splits = whole_or_none(material, "classifier_score_splits") or SPLITS
    found = score_of(logits, splits=splits, seed=material.seed)
    classes = logits.shape[1]
    notes = [f"says nothing of images that are not of the {classes:,} classes that the network tells apart"]
    if len(logits) < IMAGES_PER_CLASS * classes:
        notes.append(
            f"{len(logits):,} images are few for {classes:,} classes: the value is too low, "
            f"the interval is that of endless images, around {found.corrected:.4g}"
        )
    details = {
        "debiased": found.corrected,
        "mean of splits": found.split_mean,
        "deviation of splits": found.split_deviation,
        "splits": splits,
    }
    protocol = material.protocol("classifier score", features=True, splits=splits)
    return [Number(name, found.value, "higher", protocol, found.interval, notes=tuple(notes), details=details)]


# --- names, notes and options -----------------------------------------------------------------------------------------


def _debiased(material: Material, name: str, found: FrechetEstimate) -> Number:
    note = "around 0, and as often below, when the two sides are alike"
    if found.method == "bracket":
        note = "too few images for an estimate: the truth lies in the interval, and the value is no more than a guess"
    protocol = material.protocol("fd debiased", features=True)
    return Number(f"{name} (debiased)", found.corrected, "lower", protocol, found.interval, notes=(note,))


def _about_bias(material: Material, found: FrechetEstimate, dimensions: int) -> str:
    """What of the distance is owed to the number of images, in words."""
    fewest = min(len(material.generated), len(material.real))
    if found.method == "jackknife":
        excess = max(0.0, found.value - found.corrected)
        return f"finite samples add about {excess:.3g} of it; compare it at equal numbers of images"
    kid = _named(material, "KID", "KID")
    if fewest < dimensions:
        few = f"N={fewest:,} is below the {dimensions:,} feature dimensions"
    else:
        few = f"N={fewest:,} is below {ROWS_PER_DIMENSION:g} images for each of the {dimensions:,} feature dimensions"
    return f"{few}: FD is dominated by bias; read {kid}"


def _few(material: Material, name: str) -> tuple[str, ...]:
    fewest = min(len(material.generated), len(material.real))
    if fewest >= FEW_IMAGES:
        return ()
    return (f"{fewest:,} images are too few to hold it against a published {name}",)


def _both(material: Material):
    """Features of both sides, of two images or more."""
    if min(len(material.generated), len(material.real)) < 2:
        raise NotApplicable("it needs two images or more on both sides")
    return material.features(material.generated).pooled, material.features(material.real).pooled


def _named(material: Material, of_inception: str, other: str) -> str:
    """The name of a number: its own for Inception's features, else with the features' name."""
    if material.extractor is None:
        raise NotApplicable("it needs a feature space; choose one with --features")
    return of_inception if material.extractor.name == INCEPTION else f"{other}-{material.extractor.name}"


def _kernel(material: Material) -> tuple[Kernel, dict[str, Any]]:
    """The kernel that the options ask for, and what of it belongs to the protocol."""
    name = material.options.get("kid_kernel", "cubic")
    if name == "cubic":
        return Polynomial(), {"kernel": Polynomial().name}
    if name != "gaussian":
        raise ConfigError(unknown("kid_kernel", str(name), ["cubic", "gaussian"]))
    bandwidth = material.options.get("kid_bandwidth")
    if bandwidth is None:
        bandwidth = median_bandwidth(*_both(material), seed=material.seed)
    elif isinstance(bandwidth, bool) or not isinstance(bandwidth, (int, float)):
        raise ConfigError(f"kid_bandwidth={bandwidth!r} is not a length; use a number above 0")
    chosen = Gaussian(float(bandwidth))
    return chosen, {"kernel": chosen.name}


def _flag(material: Material, option: str, default: bool) -> bool:
    value = material.options.get(option, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{option}={value!r} is neither true nor false")
    return value
