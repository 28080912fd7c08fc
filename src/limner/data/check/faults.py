"""From the facts about single pictures to findings about the data. Each function looks for one kind of fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..sources.base import Findings, Record
from .report import Finding, Level
from .scan import Bad, Facts, Grid

EXAMPLES = 5
EXTREME = 3  # long side over short side
UPSCALED = 2  # times that a picture is enlarged for training
TINY = 8  # pixels on the short side
POOR_JPEG = 80  # estimated quality below which the 8x8 squares can be seen
IMBALANCE = 10  # the largest class over the smallest
SERIOUS = 0.05  # share of the pictures from which a fault is worth fixing before training
LEAKED = 0.01  # share of the held-out pictures that may have a near twin among the training ones


@dataclass(frozen=True)
class Scanned:
    """A source after every picture was looked at.

    size     (H, W) that training would use
    exact    groups of record indices whose pictures are equal     near   the same for nearly equal ones
    leaks    pairs of record indices in two splits, equal and nearly equal
    """

    records: Sequence[Record]
    facts: list[Facts]
    bad: list[Bad]
    classes: dict[str, int]
    size: tuple[int, int]
    exact: list[list[int]]
    near: list[list[int]]
    leaks: list[tuple[int, int]]
    near_leaks: list[tuple[int, int]]

    def names(self, indices: Iterable[int]) -> tuple[str, ...]:
        """Names of the first few records."""
        return tuple(self.records[index].name for index, _ in zip(indices, range(EXAMPLES), strict=False))

    def level(self, count: int) -> Level:
        """A warning where many pictures have the fault, else a note."""
        return "warning" if count > SERIOUS * len(self.facts) else "note"


def findings(scanned: Scanned, max_bad: float, listed: Findings) -> list[Finding]:
    """All that is wrong, the worst first."""
    found = [finding for look in _LOOKS if (finding := look(scanned))]
    found += [finding for finding in (_corrupt(scanned, max_bad), _balance(scanned)) if finding]
    found += _listing(listed)
    order = ("stop", "warning", "note")
    return sorted(found, key=lambda finding: order.index(finding.level))


def _corrupt(scanned: Scanned, max_bad: float) -> Finding | None:
    count, total = len(scanned.bad), len(scanned.bad) + len(scanned.facts)
    if not count:
        return None
    names = scanned.names(bad.index for bad in scanned.bad)
    share = f"pictures that cannot be decoded: {count:,} of {total:,}"
    if not scanned.facts or count > max_bad * total:
        rule = f"training stops above {max_bad:.0%}; remove or replace them, or raise max_bad"
        return Finding("corrupt", "stop", f"{share}; {rule}", count, names)
    return Finding("corrupt", "warning", f"{share}; they are skipped", count, names)


def _leaks(scanned: Scanned) -> Finding | None:
    if not scanned.leaks:
        return None
    message = f"equal pictures in two splits: {len(scanned.leaks):,}; whatever is measured there comes out too good"
    return Finding("leak", "warning", message, len(scanned.leaks), scanned.names(held for _, held in scanned.leaks))


def _near_leaks(scanned: Scanned) -> Finding | None:
    held = {index for _, index in scanned.near_leaks}
    if not held:
        return None
    total = sum(scanned.records[look.index].split != "train" for look in scanned.facts)
    message = (
        f"held-out pictures with a near twin in another split: {len(held):,} of {total:,}; remove one of each pair"
    )
    level: Level = "warning" if len(held) > LEAKED * total else "note"
    return Finding("near_leak", level, message, len(held), scanned.names(sorted(held)))


def _duplicates(scanned: Scanned) -> Finding | None:
    extra = sum(len(group) - 1 for group in scanned.exact)
    if not extra:
        return None
    message = f"exact repeats of another picture: {extra:,}; they count twice or more"
    names = scanned.names(group[-1] for group in scanned.exact)
    return Finding("duplicate", scanned.level(5 * extra), message, extra, names)  # from 1 % on they bias the data


def _near_duplicates(scanned: Scanned) -> Finding | None:
    twins = sum(len(group) for group in scanned.near)
    if not twins:
        return None
    message = f"pictures nearly the same as another, such as resized, recompressed or cropped copies: {twins:,}"
    names = scanned.names(group[-1] for group in scanned.near)
    # a tenth of twins is common in honest sets: consecutive shots, recoloured drawings
    return Finding("near_duplicate", scanned.level(twins // 2), message, twins, names)


def _poor_jpeg(scanned: Scanned) -> Finding | None:
    poor = [look for look in scanned.facts if look.quality is not None and look.quality < POOR_JPEG]
    if not poor:
        return None
    typical = int(np.median([look.quality for look in poor if look.quality is not None]))
    message = (
        f"JPEGs saved at a quality below {POOR_JPEG}: {len(poor):,}, typically {typical}; a generator learns their 8x8"
        " squares, and bits per dimension come out too low"
    )
    return _about("jpeg", scanned, poor, message)


def _was_jpeg(scanned: Scanned) -> Finding | None:
    grids = [(look, look.grid) for look in scanned.facts if look.grid is not None]
    if not grids:
        return None
    marked = [look for look, grid in grids if grid.stands_out(jump=1.2, peak=1.03, borders=0.45)]
    # in small pictures each grid is too faint to be sure of, but not the mean of hundreds
    mean = Grid(np.mean([grid.jumps for _, grid in grids], axis=0), float(np.mean([grid.borders for _, grid in grids])))
    together = mean.stands_out(jump=1.2, peak=1.06, borders=0.2)
    if not together and not marked:
        return None
    which = "most" if together else f"{len(marked):,}"
    message = f"{which} of the pictures without loss were JPEGs once; a generator learns their 8x8 squares"
    examples = marked or [look for look, _ in grids]
    return _about("was_jpeg", scanned, examples, message, "warning" if together else scanned.level(len(marked)))


def _blank(scanned: Scanned) -> Finding | None:
    found = [look for look in scanned.facts if look.blank]
    return _about(
        "blank",
        scanned,
        found,
        f"pictures of one colour: {len(found):,}; there is nothing to learn from them",
        "warning",
    )


def _tiny(scanned: Scanned) -> Finding | None:
    found = [look for look in scanned.facts if min(look.width, look.height) < min(TINY, *scanned.size)]
    message = f"pictures of fewer than {TINY} pixels on a side: {len(found):,}; icons or placeholders?"
    return _about("tiny", scanned, found, message, "warning")


def _upscaled(scanned: Scanned) -> Finding | None:
    height, width = scanned.size
    found = [look for look in scanned.facts if UPSCALED * look.height < height or UPSCALED * look.width < width]
    message = (
        f"pictures that must be enlarged more than {UPSCALED} times to {width}x{height}: {len(found):,}; they will look"
        " soft, so choose a smaller resolution or remove them"
    )
    return _about("upscaled", scanned, found, message)


def _aspect(scanned: Scanned) -> Finding | None:
    """Pictures far longer than wide, unless that is the shape that training uses."""
    height, width = scanned.size
    if max(height, width) >= EXTREME * min(height, width):
        return None
    found = [look for look in scanned.facts if max(look.width, look.height) > EXTREME * min(look.width, look.height)]
    message = f"pictures more than {EXTREME} times as long as wide: {len(found):,}; cropping keeps little of them"
    return _about("aspect", scanned, found, message)


def _misnamed(scanned: Scanned) -> Finding | None:
    found = [look for look in scanned.facts if look.misnamed]
    message = (
        f"names that end like another format than the file has: {len(found):,}; Limner reads by content, others may not"
    )
    return _about("misnamed", scanned, found, message, "note")


def _gray(scanned: Scanned) -> Finding | None:
    """Pictures stored in colour that have none."""
    found = [look for look in scanned.facts if look.gray and not look.blank]
    if len(found) == len(scanned.facts):
        message = "every picture is stored in colour, yet gray: channels=1 trains faster and better"
        return _about("gray", scanned, found, message)
    return None


def _mixed(scanned: Scanned) -> Finding | None:
    """Gray and colour pictures side by side."""
    gray = [look for look in scanned.facts if (look.channels == 1 or look.gray) and not look.blank]
    if not gray or len(gray) + sum(look.blank for look in scanned.facts) >= len(scanned.facts):
        return None
    message = f"gray pictures among coloured ones: {len(gray):,} of {len(scanned.facts):,}; a generator will make both"
    # some pictures of any coloured set are gray by nature: a stone, a newspaper, a symbol
    level: Level = "note" if len(gray) > 0.95 * len(scanned.facts) else scanned.level(len(gray) // 5)
    return _about("mixed", scanned, gray, message, level)


def _opaque(scanned: Scanned) -> Finding | None:
    alpha = [look for look in scanned.facts if look.channels == 4]
    if not alpha or not all(look.opaque for look in alpha):
        return None
    message = f"alpha channels that hide nothing: {len(alpha):,}, all there are; channels=3 leaves them out"
    return _about("opaque", scanned, alpha, message, "note")


def _balance(scanned: Scanned) -> Finding | None:
    counts = sorted((count, name) for name, count in scanned.classes.items())
    if len(counts) < 2 or counts[-1][0] <= IMBALANCE * counts[0][0]:
        return None
    (least, rare), (most, frequent) = counts[0], counts[-1]
    message = (
        f"class {frequent!r} has {most:,} pictures, {rare!r} only {least:,}: rare classes will be drawn badly;"
        " add pictures or merge classes"
    )
    return Finding("imbalance", "warning", message)


def _listing(listed: Findings) -> list[Finding]:
    """What was met while the files were listed, before any picture was opened."""
    found = [
        Finding("skipped", "note", f"{count:,} entries were passed over: {reason}", count)
        for reason, count in listed.skipped.items()
    ]
    for what, names in (
        ("rows of the table name no file", listed.rows_without_file),
        ("files have no row in the table", listed.files_without_row),
    ):
        if names:
            found.append(Finding("table", "warning", f"{len(names):,} {what}", len(names), tuple(names[:EXAMPLES])))
    return found + [Finding("table", "warning", message) for message in listed.warnings]


def _about(kind: str, scanned: Scanned, found: list[Facts], message: str, level: Level | None = None) -> Finding | None:
    """A finding about some pictures, or None where there are none."""
    if not found:
        return None
    names = scanned.names(look.index for look in found)
    return Finding(kind, level or scanned.level(len(found)), message, len(found), names)


_LOOKS: tuple[Callable[[Scanned], Finding | None], ...] = (
    _leaks,
    _near_leaks,
    _duplicates,
    _near_duplicates,
    _poor_jpeg,
    _was_jpeg,
    _blank,
    _tiny,
    _upscaled,
    _aspect,
    _misnamed,
    _gray,
    _mixed,
    _opaque,
)


def quality_counts(facts: list[Facts]) -> dict[str, int]:
    """JPEGs by their estimated quality, in steps of ten."""
    tens = Counter(min(look.quality, 99) // 10 for look in facts if look.quality is not None)
    return {f"{ten * 10}-{ten * 10 + 9 if ten < 9 else 100}": tens[ten] for ten in sorted(tens, reverse=True)}
