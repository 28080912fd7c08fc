"""Opens a data set: from the cache when its files are known, else by decoding them once."""

from __future__ import annotations

import atexit
import hashlib
import io
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import DataError
from ..images.degrade import parse
from ..types import DataSpec
from .attributes import encode
from .cache import FORMAT, Cache, Stored, home, save_tables
from .config import DataConfig, parse_colour, parse_resolution
from .dataset import Dataset, Pixels, Tables
from .fill import Progress, fill
from .names import printable
from .origin import Origin, origin_of
from .pairing import matched, pairing_of
from .report import LoadReport
from .sources import SPLITS, Record, Source
from .sources.base import class_order
from .sources.tree import split_of
from .survey import Plan, survey

DEFAULT = DataConfig()


def open_data(
    path: str | Path,
    config: DataConfig = DEFAULT,
    *,
    split: str | None = "train",
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """The images of a folder, an archive, a file of arrays, or of `builtin:NAME`, decoded and of one size.

    split      train, val or test, or None for all of it; data that says nothing of splits is all train
    progress   called with (images done, images in all) while images are decoded

    The first opening decodes every image into the cache; later ones map it. Raises DataError when there is nothing to
    open, when the split is absent, or when more than `config.max_bad` of the images cannot be decoded.
    """
    dataset = _opened(path, config, split, cache_dir, progress)
    partner = None
    if config.sources is not None:
        partner = _sources(dataset, config, split, cache_dir, progress)
    pairing = pairing_of(config, partner)
    return dataset if pairing is None else dataset.with_pairing(pairing)


def _opened(
    path: str | Path, config: DataConfig, split: str | None, cache_dir: Path | None, progress: Progress | None
) -> Dataset:
    """The images alone."""
    origin = origin_of(path)
    stored, notices = _stored(origin, config, cache_dir, progress)
    report = replace(stored.report, notices=notices)
    _check_bad(origin.name, report, config.max_bad)
    first, last = _rows_of(stored, split, origin.name)
    shape = (last - first, stored.spec.height, stored.spec.width, stored.spec.channels)
    dataset = Dataset(
        Pixels(stored.images, shape, first),
        stored.tables.rows(first, last),
        spec=stored.spec,
        name=origin.name,
        digest=_digest_of(stored, split),
        report=report,
    )
    return dataset if config.only is None else dataset.of_class(config.only)


def _sources(
    images: Dataset, config: DataConfig, split: str | None, cache_dir: Path | None, progress: Progress | None
) -> Dataset:
    """What goes in, opened as the images are; where it is paired, row k is the source of image k."""
    assert config.sources is not None
    size = f"{images.spec.height}x{images.spec.width}"
    alike = replace(config, sources=None, paired=True, sources_only=None, only=config.sources_only, resolution=size)
    if not config.paired:
        alike = replace(alike, channels=images.spec.channels)
    sources = _opened(config.sources, alike, split, cache_dir, progress)
    return sources.rows(matched(images.ids, sources.ids, config.sources)) if config.paired else sources


def _stored(
    origin: Origin, config: DataConfig, cache_dir: Path | None, progress: Progress | None
) -> tuple[Stored, list[str]]:
    """The decoded data set, from the first cache that works; what kept the others from working."""
    notices: list[str] = []
    for cache in _caches(cache_dir):
        try:
            return _through_cache(cache, origin, config, progress), notices
        except OSError as error:
            notices.append(f"the cache {cache.home} cannot be used ({error}); the images are decoded at every start")
    out = io.BytesIO()
    stored = _build(origin.source, config, out, _content_key(origin.source, config), progress)
    shape = (-1, stored.spec.height, stored.spec.width, stored.spec.channels)
    return replace(stored, images=np.frombuffer(out.getbuffer(), np.uint8).reshape(shape)), notices


def _caches(cache_dir: Path | None) -> Iterator[Cache]:
    """The wanted cache, then one in the temporary folder that lasts as long as this process."""
    yield Cache(home(cache_dir))
    try:
        folder = tempfile.mkdtemp(prefix="limner-")
    except OSError:
        return
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yield Cache(Path(folder))


def _through_cache(cache: Cache, origin: Origin, config: DataConfig, progress: Progress | None) -> Stored:
    stat_key = _key(origin.stat_key, config) if origin.stat_key else None
    key = cache.seen(stat_key) if stat_key else None
    if key and (stored := cache.load(key)):
        return stored
    source = origin.source
    key = _content_key(source, config)
    stored = cache.load(key)
    if stored is None:
        with cache.draft() as folder:
            with (folder / "images.bin").open("w+b") as out:
                built = _build(source, config, out, key, progress)
            save_tables(folder, built)
            stored = cache.publish(folder, key)
    if stat_key:
        cache.remember(stat_key, key)
    return stored


def _content_key(source: Source, config: DataConfig) -> str:
    return _key(source.fingerprint(), config)


def _key(contents: str, config: DataConfig) -> str:
    """Hex key of what is decoded and how; settings that leave the pixels alone are not part of it."""
    size, background = parse_resolution(config.resolution), parse_colour(config.background)
    parts: list[Any] = [FORMAT, contents, size, config.fit, config.channels, background]
    if config.patch is not None:
        parts.append([config.patch, parse(config.degrade).margin if config.degrade else 0])
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _build(source: Source, config: DataConfig, out: BinaryIO, key: str, progress: Progress | None) -> Stored:
    """Decode all images of `source` into `out`, and tabulate what is known of them."""
    plan = survey(source, config)
    filled = fill(source, plan, config, out, progress)
    records = [source.records[index] for index in filled.kept]
    if not records:
        reasons = "; ".join(f"{printable(name)}: {reason}" for name, reason in filled.bad[:3])
        raise DataError(f"none of the {len(filled.bad)} images can be decoded: {reasons}")
    classes = source.classes or class_order({record.label for record in records if record.label is not None})
    encoded = encode(records)
    tables = Tables(
        ids=[record.name for record in records],
        labels=_label_indices(records, classes),
        attributes=encoded.vectors,
        known=encoded.known,
        captions=[record.captions for record in records] if any(record.captions for record in records) else [],
    )
    report = _report(source, plan, records, classes)
    report.bad, report.columns = filled.bad, encoded.columns
    spec = DataSpec(plan.channels, plan.height, plan.width, classes, encoded.attributes)
    rows = _row_ranges(records)
    return Stored(spec, report, rows, _digests(out, rows, tables, spec), tables, Path(), key)


def _digests(images: BinaryIO, rows: dict[str, tuple[int, int]], tables: Tables, spec: DataSpec) -> dict[str, str]:
    """split -> SHA-256 of its pixels and of what is known of each image; names of files play no part."""
    digests = {}
    images.seek(0)
    for split, (first, last) in rows.items():  # the splits lie one behind the other
        digest = hashlib.sha256(json.dumps([last - first, asdict(spec)]).encode())
        left = (last - first) * spec.height * spec.width * spec.channels
        while left:
            block = images.read(min(left, 1 << 20))
            digest.update(block)
            left -= len(block)
        part = tables.rows(first, last)
        for table in (part.labels, part.attributes, part.known):
            digest.update(np.ascontiguousarray(table).data)
        digest.update(json.dumps(part.captions).encode())
        digests[split] = digest.hexdigest()
    return digests


def _digest_of(stored: Stored, split: str | None) -> str:
    """Of one split, or of all of them."""
    if split is not None:
        return stored.digests[split_of(split) or split]
    all_of_them = list(stored.digests.values())
    return all_of_them[0] if len(all_of_them) == 1 else hashlib.sha256("".join(all_of_them).encode()).hexdigest()


def _label_indices(records: list[Record], classes: tuple[str, ...]) -> np.ndarray:
    index = {name: place for place, name in enumerate(classes)}
    return np.array([-1 if record.label is None else index[record.label] for record in records], np.int64)


def _report(source: Source, plan: Plan, records: list[Record], classes: tuple[str, ...]) -> LoadReport:
    report = LoadReport.of(source.layout, source.findings)
    splits, labels = Counter(record.split for record in records), Counter(record.label for record in records)
    report.splits = {split: splits[split] for split in SPLITS if splits[split]}
    report.classes = {name: labels[name] for name in classes}
    report.resolution, report.attribution = plan.reason, source.attribution
    report.captions = sum(1 for record in records if record.captions)
    return report


def _row_ranges(records: list[Record]) -> dict[str, tuple[int, int]]:
    """split -> (first row, one past the last); the records come split by split."""
    counts = Counter(record.split for record in records)
    ranges, first = {}, 0
    for split in SPLITS:
        if counts[split]:
            ranges[split] = (first, first + counts[split])
            first += counts[split]
    return ranges


def _rows_of(stored: Stored, split: str | None, name: str) -> tuple[int, int]:
    if split is None:
        return 0, len(stored.tables.ids)
    wanted = split_of(split) or split
    if wanted not in stored.rows:
        have = ", ".join(f"{have} ({last - first})" for have, (first, last) in stored.rows.items())
        raise DataError(f"{name!r} has no split {split!r}; it has {have}")
    return stored.rows[wanted]


def _check_bad(name: str, report: LoadReport, most: float) -> None:
    if report.bad_share <= most:
        return
    total = len(report.bad) + sum(report.splits.values())
    examples = "; ".join(f"{printable(bad)}: {reason}" for bad, reason in report.bad[:3])
    raise DataError(
        f"{len(report.bad)} of the {total} images of {name!r} cannot be decoded, more than {most:.1%} ({examples}); "
        "repair or remove them, or allow more with max_bad"
    )
