"""One verdict on whether a generator copies its training images, with an interval and the reason in words.

It rests on the copied share, the close copies and the exact ones of memorisation.py. Calibrated by
benchmarks/quality_memorisation.py: of over-fitted models all must be accused, of healthy ones next to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .memorisation import (
    Estimate,
    Nearness,
    close_copies,
    copied_share,
    distance_ratio,
    exact_copies,
    is_close,
    is_exact,
    real,
)

FEWEST = 50  # generated images
SURE = 0.99  # level of the intervals: of 100 healthy models one or two may be accused in each space
ALARM = 0.001  # excess of exact or close copies among generated images, above which they are an alarm
LEANS = 0.05  # copied share above which a model leans on its training images: sound small autoencoders reach 0.1
TOLERATED = 0.2  # copied share above which it copies: of 40 over-fitted models, the least surely copied 0.39
VAGUE = 0.5  # an interval of the copied share that reaches up to here rules too little out

Word = Literal["copies", "suspicious", "no sign", "cannot tell"]


@dataclass(frozen=True)
class Verdict:
    """What the distances say, and why.

    share     of the generated images that copy, at a level of 99 %: the copied share, or without held-out images the
              excess of close copies
    reasons   sentences, the weightiest first
    """

    word: Word
    share: Estimate
    reasons: tuple[str, ...]


def judge(near: Nearness) -> Verdict:
    """One verdict, from where generated images lie among real ones.

    copies        more than 0.1 % exact or close copies beyond those among real images, or a copied share above 20 %
    suspicious    a copied share above 5 %, though not surely above 20 %
    no sign       neither; and without held-out images, generated images that lie as far from training images as these
                  lie from each other
    cannot tell   too few images to rule out that half are copies; or neither of the first two, without held-out images

    Each "above" and "more" is meant with 99 % confidence.
    """
    share = close_copies(near, level=SURE) if near.held_out is None else copied_share(near, level=SURE)
    count = len(near.generated.indices)
    if count < FEWEST:
        reason = f"{count} generated images are too few to judge by; make {FEWEST} or more"
        return Verdict("cannot tell", share, (reason,))
    found = _findings(near, share)
    if found:
        return Verdict("copies", share, found)
    return _without_held_out(near, share) if near.held_out is None else _by_share(share)


def combined(verdicts: Mapping[str, Verdict], *, held_out: bool) -> Verdict:
    """One verdict from those in several spaces (space -> verdict), the reasons each with its space.

    An accusation in one space is enough: pixels show copies with flaws that features take for other images, features
    show copies that were shifted. Innocence: with held-out images in any space, without them only in all.
    """
    milder: tuple[Word, Word] = ("no sign", "cannot tell") if held_out else ("cannot tell", "no sign")
    order: tuple[Word, ...] = ("copies", "suspicious", *milder)
    ranked = sorted(verdicts.items(), key=lambda pair: order.index(pair[1].word))
    reasons = tuple(f"{space}: {reason}" for space, found in ranked for reason in found.reasons)
    return Verdict(ranked[0][1].word, ranked[0][1].share, reasons)


def _findings(near: Nearness, share: Estimate) -> tuple[str, ...]:
    """Sentences on whatever shows that images are copied; empty when nothing does."""
    found = []
    if exact_copies(near, level=SURE).low > ALARM:
        found.append(f"{_percent(is_exact(near.generated))} of the generated images equal a training image")
    if close_copies(near, level=SURE).low > ALARM:
        found.append(
            f"{_percent(is_close(near.generated))} of the generated images are three times nearer to one training "
            f"image than to any other; of real images it is {_percent(real(near, is_close))}"
        )
    if near.held_out is not None and share.low > TOLERATED:
        found.append(f"{_span(share)} of the generated images are bound to single training images")
    return tuple(found)


def _by_share(share: Estimate) -> Verdict:
    """The verdict on a copied share that is not surely above what is tolerated."""
    if share.low > LEANS:
        reason = f"{_span(share)} of the generated images lean on single training images, more than chance explains"
        return Verdict("suspicious", share, (reason,))
    if share.high > VAGUE:
        reason = (
            f"{_span(share)} of the generated images may be copies, which is too vague: more generated or held-out "
            "images would tell, unless the generated ones are all alike"
        )
        return Verdict("cannot tell", share, (reason,))
    reason = "generated images lie no nearer to training images than to as many held-out ones"
    return Verdict("no sign", share, (f"{reason}: {_span(share)} of them may be copies",))


def _without_held_out(near: Nearness, share: Estimate) -> Verdict:
    """The verdict when there are no close copies, and only training images to compare with."""
    ratio = distance_ratio(near, level=SURE)
    reason = (
        f"without held-out images training images are the baseline: generated ones lie {ratio.value:.2f} times as far "
        "from training images as these from each other, and none is a close copy beyond chance"
    )
    if ratio.low >= 1:
        return Verdict("no sign", share, (f"{reason}; held-out images would make this surer",))
    blends = "blends of a few training images cannot be told from smooth new ones; give held-out images"
    return Verdict("cannot tell", share, (reason, blends))


def _percent(which: np.ndarray) -> str:
    return f"{which.mean():.1%}"


def _span(share: Estimate) -> str:
    return f"{max(0.0, share.low):.0%} to {min(1.0, max(0.0, share.high)):.0%}"
