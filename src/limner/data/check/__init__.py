"""`limner data check`: looks at every picture of a data set and says what is wrong with it and what it is good for.

    report = check("photos")
    report.verdict            # "good", "look" or "stop"
    report.render(Console())

It changes nothing and writes nothing. Damaged and hostile files are listed, never raised.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import numpy as np

from ...errors import DataError
from ..attributes import encode
from ..config import DataConfig, parse_colour
from ..origin import origin_of
from ..sources.base import SPLITS, Source, class_order
from ..survey import survey
from .advice import good_for, measurable, per_class, sizes
from .faults import Scanned, findings, quality_counts
from .near import groups, near_pairs
from .report import CheckReport, Finding, Sizes
from .scan import Bad, Facts, Progress, scan

__all__ = ["CheckReport", "Finding", "check", "check_source"]

LISTED = 1000  # groups and pairs that a report names; the findings count them all
COMMON_SIZES = 8


def check(path: str | Path, config: DataConfig | None = None, *, progress: Progress | None = None) -> CheckReport:
    """Look at every picture of a folder, an archive, a file of arrays, or of `builtin:NAME`.

    progress   called with (pictures looked at, pictures in all)

    Raises DataError when there is nothing to open.
    """
    origin = origin_of(path)
    return check_source(origin.source, origin.name, config, progress=progress)


def check_source(
    source: Source, name: str, config: DataConfig | None = None, *, progress: Progress | None = None
) -> CheckReport:
    """Look at every picture of a source that is already open."""
    start = time.perf_counter()
    if not source.records:
        raise DataError(f"{name} has no pictures to check")
    config = config or DataConfig()
    looks = list(scan(source, parse_colour(config.background), progress))
    facts = [look for look in looks if isinstance(look, Facts)]
    bad = [look for look in looks if isinstance(look, Bad)]
    plan = survey(source, config)
    scanned = _compare(source, facts, bad, (plan.height, plan.width))
    found = findings(scanned, config.max_bad, source.findings)
    return _report(source, name, scanned, found, plan.reason, time.perf_counter() - start)


def _compare(source: Source, facts: list[Facts], bad: list[Bad], size: tuple[int, int]) -> Scanned:
    """Find the pictures that are equal or nearly so, and which of them lie in two splits."""
    same: dict[bytes, list[int]] = {}
    for place, look in enumerate(facts):
        same.setdefault(look.pixel_hash, []).append(place)
    exact = [places for places in same.values() if len(places) > 1]
    pairs = _near(facts, [places[0] for places in same.values() if not facts[places[0]].blank])
    indices = [look.index for look in facts]
    splits = [source.records[index].split for index in indices]

    def crossing(candidates: list[tuple[int, int]]) -> list[tuple[int, int]]:
        ordered = [sorted(pair, key=lambda place: SPLITS.index(splits[place])) for pair in candidates]
        return [(indices[a], indices[b]) for a, b in ordered if splits[a] != splits[b]]

    return Scanned(
        records=source.records,
        facts=facts,
        bad=bad,
        classes=_class_counts(source, indices),
        size=size,
        exact=[[indices[place] for place in places] for places in exact],
        near=[[indices[place] for place in group] for group in groups(pairs, len(facts))],
        leaks=crossing([pair for places in exact for pair in _across(places, splits)]),
        near_leaks=crossing(_all_copies(pairs, facts, same)),
    )


def _near(facts: list[Facts], places: list[int]) -> np.ndarray:
    """Pairs (P, 2) of near duplicates among the facts at `places`, of which no two are equal."""
    if not places:
        return np.zeros((0, 2), np.int64)
    gray = np.stack([facts[place].sketch.gray for place in places])
    tint = np.stack([facts[place].sketch.tint for place in places])
    return np.array(places)[near_pairs(gray, tint)]


def _across(places: list[int], splits: list[str]) -> list[tuple[int, int]]:
    """One pair for each picture of a later split that equals one of an earlier split."""
    first = min(places, key=lambda place: SPLITS.index(splits[place]))
    return [(first, place) for place in places if splits[place] != splits[first]]


def _all_copies(pairs: np.ndarray, facts: list[Facts], same: dict[bytes, list[int]]) -> list[tuple[int, int]]:
    """The near pairs, and those of their exact copies: a copy may lie in another split than the picture compared."""
    return [
        (one, other)
        for first, second in pairs.tolist()
        for one in same[facts[first].pixel_hash]
        for other in same[facts[second].pixel_hash]
    ]


def _class_counts(source: Source, indices: list[int]) -> dict[str, int]:
    counts = Counter(label for index in indices if (label := source.records[index].label) is not None)
    order = source.classes or class_order(set(counts))
    return {label: counts[label] for label in order}


def _report(
    source: Source, name: str, scanned: Scanned, found: list[Finding], resolution: str, seconds: float
) -> CheckReport:
    records = [source.records[look.index] for look in scanned.facts]
    splits = Counter(record.split for record in records)
    return CheckReport(
        name=name,
        layout=source.layout,
        attribution=source.attribution,
        pictures=len(records),
        splits={split: splits[split] for split in SPLITS if splits[split]},
        classes=scanned.classes,
        unlabelled=sum(record.label is None for record in records) if scanned.classes else 0,
        captioned=sum(bool(record.captions) for record in records),
        columns=encode(records).columns,
        formats=dict(Counter(look.format for look in scanned.facts).most_common()),
        modes=dict(Counter(look.mode or f"{look.channels} channels" for look in scanned.facts).most_common()),
        sizes=_sizes(scanned.facts),
        resolution=resolution,
        jpeg_quality=quality_counts(scanned.facts),
        corrupt=[(source.records[look.index].name, look.reason) for look in scanned.bad],
        exact=[_names(source, group) for group in scanned.exact[:LISTED]],
        near=[_names(source, group) for group in scanned.near[:LISTED]],
        leaks=[(_name(source, a), _name(source, b)) for a, b in (scanned.leaks + scanned.near_leaks)[:LISTED]],
        findings=found,
        good_for=_good_for(scanned, splits),
        seconds=seconds,
        size_guide=sizes(),
    )


def _name(source: Source, index: int) -> str:
    return source.records[index].name


def _names(source: Source, indices: list[int]) -> list[str]:
    return [_name(source, index) for index in indices]


def _good_for(scanned: Scanned, splits: Counter[str]) -> list[str]:
    """What the training pictures are good for, repeats counted once, and what the held-out ones can measure."""
    different = len({look.pixel_hash for look in scanned.facts if scanned.records[look.index].split == "train"})
    sentences = [f"{different:,} different training pictures: {good_for(different)}"]
    sentences.append(measurable(sum(count for split, count in splits.items() if split != "train")))
    if scanned.classes:
        sentences.append(per_class(min(scanned.classes.values())))
    return sentences


def _sizes(facts: list[Facts]) -> Sizes | None:
    if not facts:
        return None
    counts = Counter((look.width, look.height) for look in facts)
    short = sorted(min(look.width, look.height) for look in facts)
    common = [(*size, count) for size, count in counts.most_common(COMMON_SIZES)]
    return Sizes(common, len(counts), short[0], short[len(short) // 2], short[-1])
