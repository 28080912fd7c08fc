"""Where the generated set lies against the real one: neighbours, slices, bins, and how various it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...errors import ConfigError
from ...metrics import diversity as variety
from ...metrics import ndb as bins
from ...metrics import precision_recall as manifolds
from ...metrics.halves import Measured
from ...metrics.mind import DIRECTIONS
from ...metrics.mind import mind as monge_inception_distance
from ...metrics.neighbours import small_pixels
from ...metrics.number import Better, Number, Protocol
from ...metrics.sliced_wasserstein import MOST_IMAGES, SMALLEST
from ...metrics.sliced_wasserstein import sliced_wasserstein as sliced_distance
from ...metrics.ssim import SCALE_WEIGHTS, WINDOW
from ..material import Material, NotApplicable
from .options import whole

FEWEST_IN_A_BIN = 10  # real images, on average, below which a z-test of two proportions says little
UNEQUAL = "depends on the number of images on both sides; compare it at equal ones"
NO_INTERVAL = "too few images for an interval"
Pure = Callable[[np.ndarray, np.ndarray], Any]


def precision_recall(material: Material) -> list[Number]:
    """Improved precision and recall. options   precision_recall_k: neighbour that balls reach to, 3."""
    k, name = _k(material, "precision_recall_k", 3), _space(material)
    found = _compared(material, partial(manifolds.precision_recall, k=k, seed=material.seed))
    return [
        _number(f"{what}-{name}", measured, "higher", material.protocol(what, features=True, k=k), notes=(UNEQUAL,))
        for what, measured in (("precision", found.precision), ("recall", found.recall))
    ]


def density_coverage(material: Material) -> list[Number]:
    """Density and coverage. options   density_coverage_k: neighbour that balls reach to, 5."""
    k, name = _k(material, "density_coverage_k", 5), _space(material)
    found = _compared(material, partial(manifolds.density_coverage, k=k, seed=material.seed))
    expected = {"density": 1.0, "coverage": manifolds.expected_coverage(len(material.generated), len(material.real), k)}
    return [
        _number(
            f"{what}-{name}",
            measured,
            "higher",
            material.protocol(what, features=True, k=k),
            notes=(f"{expected[what]:.3f} on average for equal distributions", UNEQUAL),
            details={"for equal distributions": expected[what]},
        )
        for what, measured in (("density", found.density), ("coverage", found.coverage))
    ]


def mind(material: Material) -> list[Number]:
    """MIND as published, and without its bias. options   mind_directions: random directions, 1,000."""
    directions, name = whole(material, "mind_directions", DIRECTIONS), _space(material)
    found = _compared(material, partial(monge_inception_distance, directions=directions, seed=material.seed))
    number = partial(_number, better="lower")
    published = number(
        f"MIND-{name}",
        found.distance,
        protocol=material.protocol("mind", features=True, directions=directions),
        notes=(UNEQUAL,),
        details={"bias": found.bias},
    )
    if found.bias is None:
        return [published]
    return [
        published,
        number(
            f"MIND-{name} (debiased)",
            found.debiased,
            protocol=material.protocol("mind debiased", features=True, directions=directions),
            notes=("around 0, and as often below, when the two sides are alike",),
        ),
    ]


def sliced_wasserstein(material: Material) -> list[Number]:
    """Sliced Wasserstein distance on Laplacian pyramids, the mean over levels; the levels are in the details."""
    generated, real = material.generated.images, material.real.images
    if generated.shape[1:] != real.shape[1:]:
        raise NotApplicable("it needs images of one size and one number of channels on both sides")
    if min(real.shape[1:3]) < SMALLEST:
        raise NotApplicable(f"it needs images of {SMALLEST} pixels or more")
    found = sliced_distance(generated, real, seed=material.seed)
    size = f"{real.shape[1]}x{real.shape[2]}x{real.shape[3]}"
    levels = {f"{level.height}x{level.width}": _plain(level.distance) for level in found.levels}
    notes: tuple[str, ...] = (UNEQUAL, "brightness and contrast of the whole set do not count")
    if max(len(generated), len(real)) > MOST_IMAGES:
        notes += (f"of more than {MOST_IMAGES:,} images on a side, that many were drawn",)
    protocol = material.protocol("swd", features=False, size=size, levels=len(levels))
    return [
        _number("SWD", found.average, "lower", protocol, unit="×10⁻³", notes=notes, details={"levels": levels}),
    ]


def diversity(material: Material) -> list[Number]:
    """How alike images are: MS-SSIM of pairs, over all and within classes, and distances of features against real.

    options   diversity_pairs: pairs that are compared, 10,000
    """
    pairs = whole(material, "diversity_pairs", variety.PAIRS)
    if min(len(material.generated), len(material.real)) < 2:
        raise NotApplicable("it needs two images or more on both sides")
    numbers = []
    if min(*material.generated.images.shape[1:3], *material.real.images.shape[1:3]) >= WINDOW:
        numbers += [_over_all(material, pairs), *_within_classes(material, pairs)]
    if material.extractor is not None:
        numbers.append(_spread(material, pairs))
    if not numbers:
        raise NotApplicable(f"it needs images of {WINDOW} pixels or more, or a feature space (--features)")
    return numbers


def ndb(material: Material) -> list[Number]:
    """Share of k-means bins that the two sides fill differently, and the divergence of the two histograms.

    options   ndb_bins    K, at most 100 and at most a tenth of the real images unless given
              ndb_space   pixels, of images brought to at most 32×32, or features
    """
    space = material.options.get("ndb_space", "pixels")
    if space not in ("pixels", "features"):
        raise ConfigError(f"ndb_space={space!r} is not possible; use pixels or features")
    count = whole(material, "ndb_bins", min(bins.BINS, len(material.real) // FEWEST_IN_A_BIN))
    if not 2 <= count <= len(material.real):
        raise NotApplicable(
            f"{len(material.real)} real images do not fill 2 bins or more; it needs {2 * FEWEST_IN_A_BIN}"
        )
    found = _filled(material, space, count)
    name = _space(material) if space == "features" else "pixels"
    protocol = partial(material.protocol, features=space == "features", bins=count)
    counts = {"generated": found.generated.tolist(), "real": found.real.tolist()}
    different = {"different": np.flatnonzero(found.different).tolist()}
    return [
        _number(
            f"NDB/K-{name}",
            found.share,
            "lower",
            protocol(metric=f"ndb of {name}"),
            notes=(f"about {bins.SIGNIFICANCE} for equal distributions; more images make the test sharper", UNEQUAL),
            details=counts | different,
        ),
        _number(
            f"JSD-{name}",
            found.divergence,
            "lower",
            protocol(metric=f"jsd of {name}"),
            unit="nats",
            notes=(f"sampling alone brings about {found.expected:.4f}", UNEQUAL),
            details={"expected for equal distributions": found.expected},
        ),
    ]


def _filled(material: Material, space: str, count: int) -> bins.Bins:
    compare = partial(bins.different_bins, bins=count, seed=material.seed)
    if space == "features":
        return _compared(material, compare)
    if material.generated.images.shape[1:] != material.real.images.shape[1:]:
        raise NotApplicable("it needs images of one size on both sides; ndb_space=features does not")
    return compare(small_pixels(material.generated.images), small_pixels(material.real.images))


def _over_all(material: Material, pairs: int) -> Number:
    made, real = (
        variety.ms_ssim_diversity(side.images, pairs=pairs, seed=material.seed)
        for side in (material.generated, material.real)
    )
    return _similarity(material, "MS-SSIM", made, real)


def _within_classes(material: Material, pairs: int) -> list[Number]:
    """One number, or none where classes are not known on both sides."""
    found = []
    for side in (material.generated, material.real):
        labels = None if side.labels is None else np.asarray(side.labels)
        known = np.zeros(0, np.int64) if labels is None else labels[labels >= 0]
        if labels is None or len(np.unique(known)) == len(known):  # no class has two images
            return []
        found.append(variety.ms_ssim_within_classes(side.images, labels, pairs=pairs, seed=material.seed))
    return [_similarity(material, "MS-SSIM within classes", *found)]


def _similarity(material: Material, name: str, made: variety.Similarity, real: variety.Similarity) -> Number:
    names = material.spec.classes
    classes = {names[label] if label < len(names) else str(label): mean for label, mean in made.classes.items()}
    notes: tuple[str, ...] = (f"real images have {real.mean.value:.3f}; more than that means less variety",)
    if made.scales < len(SCALE_WEIGHTS):
        notes += (f"images are too small for {len(SCALE_WEIGHTS)} scales: {made.scales} were used",)
    return _number(
        name,
        made.mean,
        "neither",
        material.protocol(name.lower(), features=False, pairs=made.pairs, scales=made.scales),
        notes=notes,
        details={"real": _plain(real.mean), "pairs": made.pairs} | ({"per class": classes} if classes else {}),
    )


def _spread(material: Material, pairs: int) -> Number:
    compare = partial(variety.feature_spread, pairs=pairs, seed=material.seed)
    found = _compared(material, compare)
    return _number(
        f"spread-{_space(material)}",
        found.ratio,
        "neither",
        material.protocol("spread", features=True, pairs=pairs),
        notes=("mean distance of two generated images over that of two real ones; below 1 means less variety",),
        details={"generated": found.generated, "real": found.real},
    )


def _compared(material: Material, compare: Pure) -> Any:
    """What a pure function makes of both sides' features."""
    return compare(material.features(material.generated).pooled, material.features(material.real).pooled)


def _k(material: Material, option: str, default: int) -> int:
    """The neighbour that balls reach to. Raises NotApplicable where a side has no so many others."""
    k, count = whole(material, option, default), min(len(material.generated), len(material.real))
    if count <= k:
        raise NotApplicable(f"with k={k} it needs {k + 1} images on both sides, and the smaller has {count}")
    return k


def _space(material: Material) -> str:
    """The name of the feature space, for names of numbers."""
    if material.extractor is None:
        raise NotApplicable("it needs a feature space; choose one with --features")
    return material.extractor.name


def _number(
    name: str,
    measured: Measured,
    better: Better,
    protocol: Protocol,
    *,
    unit: str = "",
    notes: tuple[str, ...] = (),
    details: dict[str, Any] | None = None,
) -> Number:
    if measured.interval is None:
        notes += (NO_INTERVAL,)
    return Number(name, measured.value, better, protocol, measured.interval, unit, notes, details or {})


def _plain(measured: Measured) -> dict[str, Any]:
    """A value and its interval as JSON has them."""
    interval = None if measured.interval is None else [measured.interval.low, measured.interval.high]
    return {"value": measured.value, "interval": interval}
