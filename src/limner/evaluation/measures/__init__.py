"""The measures by name, imported when they are used: `limner evaluate --metrics fd,kid,…`.

A measure is a function `(Material) -> list[Number]` that raises NotApplicable, with the reason, where it does not fit.
It is thin: it picks from the material what a pure function of limner.metrics needs, and adds protocol and interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from ...errors import ConfigError, unknown

if TYPE_CHECKING:
    from ...metrics.number import Number
    from ..material import Material


@dataclass(frozen=True)
class Measure:
    """One line of the table.

    target      "module:function", in this package
    default     whether `limner evaluate` takes it when no metrics are named
    floors      whether it is also taken of real images, noise, the mean image and a Gaussian, to set the scale
    options     settings that it reads (`--set name=value`); its docstring says what they do
    """

    name: str
    target: str
    summary: str
    default: bool = True
    floors: bool = False
    options: tuple[str, ...] = ()

    def load(self) -> Callable[[Material], list[Number]]:
        module, _, function = self.target.partition(":")
        return getattr(import_module(f"{__name__}.{module}"), function)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "fd",
            "distribution:frechet",
            "Fréchet distance of features: FID with Inception's own weights",
            floors=True,
            options=("fd_intervals", "fd_infinity"),
        ),
        Measure(
            "kid",
            "distribution:kernel",
            "kernel distance of features, unbiased at any number of images",
            floors=True,
            options=("kid_subsets", "kid_kernel", "kid_bandwidth"),
        ),
        Measure(
            "precision_recall",
            "geometry:precision_recall",
            "share of samples among real images, and of real images among samples",
            floors=True,
            options=("precision_recall_k",),
        ),
        Measure(
            "density_coverage",
            "geometry:density_coverage",
            "how densely samples lie among real images, and how many of those they reach",
            floors=True,
            options=("density_coverage_k",),
        ),
        Measure(
            "swd",
            "geometry:sliced_wasserstein",
            "sliced Wasserstein distance of patches at every scale; needs no network",
            floors=True,
        ),
        Measure(
            "likelihood",
            "likelihood:likelihood",
            "nats and bits/dim of real images, for models that score",
            options=("importance", "likelihood_images"),
        ),
        Measure("memorisation", "memorisation:memorisation", "whether training images are copied: a verdict"),
        Measure(
            "membership",
            "memorisation:membership",
            "how well training images are told from others by attacking the model",
            default=False,
        ),
        Measure(
            "mind",
            "geometry:mind",
            "distance of features along random directions, for few images",
            default=False,
            floors=True,
            options=("mind_directions",),
        ),
        Measure(
            "diversity",
            "geometry:diversity",
            "how alike samples are, over all and within classes",
            default=False,
            options=("diversity_pairs",),
        ),
        Measure(
            "ndb",
            "geometry:ndb",
            "kinds of images that samples have too many or too few of",
            default=False,
            options=("ndb_bins", "ndb_space"),
        ),
        Measure(
            "score",
            "distribution:classifier_score",
            "how surely and how variously a classifier decides: IS with Inception's own weights",
            default=False,
            floors=True,
            options=("classifier_score_splits",),
        ),
        Measure(
            "cas",
            "by_models:cas",
            "accuracy of a classifier trained on samples and asked about real images, and the reverse",
            default=False,
            options=("classifier_images", "classifier"),
        ),
        Measure(
            "recognition",
            "by_models:recognition",
            "whether a classifier sees the class and the attributes that were asked for",
            default=False,
            options=("classifier_images", "classifier"),
        ),
        Measure(
            "detector",
            "by_models:detector",
            "whether an object detector finds what was asked for",
            default=False,
            options=("detector", "detector_names", "detector_images", "captions"),
        ),
        Measure(
            "psnr",
            "paired:psnr",
            "peak signal-to-noise ratio of pairs: images of one name, or reconstructions",
            default=False,
            options=("pairs", "preset"),
        ),
        Measure("ssim", "paired:ssim", "structural similarity of pairs", default=False, options=("pairs", "preset")),
        Measure(
            "ms_ssim", "paired:ms_ssim", "multi-scale structural similarity of pairs", default=False, options=("pairs",)
        ),
        Measure(
            "perceptual",
            "paired:perceptual",
            "distance of pairs inside the feature network",
            default=False,
            options=("pairs",),
        ),
        Measure(
            "path_length",
            "latent:path_length",
            "how far pictures move for a small step between latents",
            default=False,
            options=("paths",),
        ),
        Measure("robustness", "latent:robustness", "how far pictures and latents move when disturbed", default=False),
        Measure(
            "disentanglement",
            "latent:disentanglement",
            "MIG and DCI, where factors are known as attributes",
            default=False,
        ),
    )
}


def chosen(names: list[str] | None) -> list[Measure]:
    """The measures of those names, or the default ones. Raises ConfigError for a name that is none, and for none."""
    if names is not None and not names:
        raise ConfigError(f"no metric is named; name some of {', '.join(MEASURES)}, or leave metrics out")
    for name in names or ():
        if name not in MEASURES:
            raise ConfigError(unknown("metric", name, MEASURES))
    return [MEASURES[name] for name in names] if names is not None else [m for m in MEASURES.values() if m.default]


def check_options(options: Mapping[str, object]) -> None:
    """Raise ConfigError for a setting that no measure reads, with the nearest that one does."""
    known = {name for measure in MEASURES.values() for name in measure.options}
    for name in options:
        if name not in known:
            raise ConfigError(unknown("setting of a measure", name, known))
