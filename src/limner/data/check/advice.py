"""What a data set of a given size is good for, in plain sentences.

The sizes are rules of thumb. GANs were trained from 100 pictures with differentiable augmentation (Zhao et al. 2020,
arXiv 2006.10738) and overfit without augmentation below some tens of thousands (Karras et al. 2020, arXiv 2006.06676);
diffusion models repeat their training pictures when these are few (Carlini et al. 2023, arXiv 2301.13188; Kadkhodaie et
al. 2024, arXiv 2310.02557).
"""

from __future__ import annotations

FEATURES = 2048  # dimensions of the features that a Fréchet distance is usually taken in
USUAL_HELD_OUT = 10_000
_GOOD_FOR = (
    (0, "nothing yet: there is no picture to train on"),
    (1, "trying things out; a generator would repeat these pictures, so expect no new ones"),
    (100, "a GAN with augmentation, or a small VAE for smooth blends; look for copies of the training pictures"),
    (1_000, "a VAE, or a GAN with augmentation; a diffusion model would mostly repeat the training pictures"),
    (10_000, "a VAE, or a GAN, still with augmentation; a small diffusion model at low resolution"),
    (50_000, "every family; augmentation helps a GAN little by now, and diffusion models make new pictures"),
    (500_000, "every family, and large models; time is what limits quality now"),
)


def good_for(count: int) -> str:
    """What `count` different training pictures are good for."""
    return [words for least, words in _GOOD_FOR if count >= least][-1]


def sizes() -> list[tuple[str, str]]:
    """(training pictures, what they are good for), from few to many."""
    least = [start for start, _ in _GOOD_FOR] + [None]
    rows = zip(least[1:-1], least[2:], [words for _, words in _GOOD_FOR[1:]], strict=True)
    return [
        (f"{start:,} and more" if stop is None else f"{start:,} to {stop - 1:,}", words) for start, stop, words in rows
    ]


def measurable(held_out: int) -> str:
    """What can be measured against `held_out` pictures that the model never saw."""
    if not held_out:
        return "no picture is held out: hold back a tenth as val or test, to tell learning from learning by heart"
    if held_out <= FEATURES:
        return (
            f"{held_out:,} held-out pictures do not outnumber the {FEATURES:,} features of a Fréchet distance, which"
            " would be biased: compare kernel distance (KID), precision and recall instead, with their intervals"
        )
    if held_out < USUAL_HELD_OUT:
        return f"{held_out:,} held-out pictures allow a Fréchet distance that is comparable only at this same count"
    return f"{held_out:,} held-out pictures are enough for every measure of quality"


def per_class(smallest: int) -> str:
    """What the smallest class allows."""
    if smallest < 50:
        return f"the smallest class has {smallest:,} pictures: too few to draw it on demand; merge or drop classes"
    return f"the smallest class has {smallest:,} pictures, enough to condition on the class"
