"""`limner data check`: every planted fault is found, and clean data raises no alarm."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from limner.data import DataConfig
from limner.data.check import CheckReport, advice, check
from limner.data.check.near import groups, near_pairs, sketch
from limner.errors import DataError
from limner.rng import generator


def photo(index: int, height: int = 64, width: int = 64) -> np.ndarray:
    """(height, width, 3) uint8 with the spectrum of photographs: amplitude falls with frequency; mostly one hue."""
    rng = generator(0, "test photo", index)
    down, across = np.meshgrid(np.fft.fftfreq(height) * height, np.fft.fftfreq(width) * width, indexing="ij")
    amplitude = 1 / np.maximum(np.hypot(down, across), 1) ** 1.2
    noise = np.fft.fft2(rng.standard_normal((4, height, width)))
    planes = np.fft.ifft2(noise * amplitude).real
    planes /= planes.std(axis=(1, 2), keepdims=True)
    mixed = planes[0][..., None] + 0.4 * np.moveaxis(planes[1:], 0, 2)
    return np.rint(45 * mixed + rng.uniform(90, 160, 3)).clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG", quality: int | None = None) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(out, kind, **({} if quality is None else {"quality": quality}))
    return out.getvalue()


def decoded(data: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def resized(pixels: np.ndarray, scale: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    return np.array(Image.fromarray(pixels).resize((round(width * scale), round(height * scale))))


def save(folder: Path, pictures: dict[str, np.ndarray | bytes]) -> Path:
    for name, picture in pictures.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture if isinstance(picture, bytes) else encoded(picture))
    return folder


def photos(count: int, prefix: str = "", first: int = 0) -> dict[str, np.ndarray | bytes]:
    return {f"{prefix}{index:03d}.png": photo(index) for index in range(first, first + count)}


def kinds(report: CheckReport, level: str | None = None) -> set[str]:
    return {finding.kind for finding in report.findings if level in (None, finding.level)}


COPIES = {
    "half": lambda a: resized(a, 0.5),
    "double": lambda a: resized(a, 2),
    "jpeg 75": lambda a: decoded(encoded(a, "JPEG", 75)),
    "jpeg 50": lambda a: decoded(encoded(a, "JPEG", 50)),
    "webp 75": lambda a: decoded(encoded(a, "WEBP", 75)),
    "brighter": lambda a: (a.astype(int) + 25).clip(0, 255).astype(np.uint8),
    "darker": lambda a: np.rint(a * 0.8).astype(np.uint8),
    "cropped": lambda a: a[2:-2, 2:-2],
    "corner cropped": lambda a: a[2:, 3:],
}


def test_clean_photos_raise_no_alarm(tmp_path):
    report = check(save(tmp_path, photos(60)))
    assert report.findings == []
    assert report.verdict == "good"
    assert (report.pictures, report.splits, report.formats) == (60, {"train": 60}, {"PNG": 60})
    assert report.sizes.common == [(64, 64, 60)]


@pytest.mark.parametrize("name", ["builtin:shapes?n=1500", "builtin:digits"])
def test_builtins_raise_no_alarm(name):
    report = check(name)
    assert kinds(report, "warning") | kinds(report, "stop") == set()
    assert report.verdict == "good"


def test_openmoji_raises_no_alarm_and_names_its_makers():
    """Men, women and persons doing the same are near twins, a note; no pair of them lies in two splits."""
    report = check("builtin:openmoji")
    assert kinds(report) == {"near_duplicate", "mixed"} == kinds(report, "note")
    assert report.leaks == []
    assert "CC BY-SA 4.0" in report.attribution
    assert report.captioned == report.pictures == sum(report.classes.values())


def test_near_copies_are_found_and_nothing_else():
    """Nine kinds of copies of 180 of 1,500 pictures: measured recall 1.0, and no false pair."""
    pictures = [photo(index) for index in range(1500)]
    makers = list(COPIES.values())
    copies = [makers[place % len(makers)](pictures[place * 8]) for place in range(180)]
    sketches = [sketch(picture) for picture in pictures + copies]
    pairs = near_pairs(np.stack([s.gray for s in sketches]), np.stack([s.tint for s in sketches]))
    planted = {(place * 8, 1500 + place) for place in range(180)}
    found = {(first, second) for first, second in pairs.tolist()}
    assert len(found & planted) >= 0.95 * len(planted)
    assert len(found - planted) <= 0.005 * len(pictures)


def test_near_pairs_do_not_depend_on_how_the_search_is_tiled(monkeypatch):
    """Tiles of 64 by 256 find what one tile finds."""
    pictures = [photo(index) for index in range(400)]
    sketches = [sketch(picture) for picture in pictures + [COPIES["cropped"](picture) for picture in pictures[:40]]]
    gray, tint = np.stack([s.gray for s in sketches]), np.stack([s.tint for s in sketches])
    whole = near_pairs(gray, tint)
    monkeypatch.setattr("limner.data.check.near.ROWS", 64)
    monkeypatch.setattr("limner.data.check.near.COLUMNS", 256)
    assert np.array_equal(near_pairs(gray, tint), whole)
    assert len(whole) >= 38


def test_recoloured_pictures_are_not_near_copies():
    """Hearts of another colour are other pictures, though their gray levels agree."""
    red, blue = np.full((32, 32, 3), 255, np.uint8), np.full((32, 32, 3), 255, np.uint8)
    red[8:24, 8:24], blue[8:24, 8:24] = (200, 0, 0), (0, 62, 200)
    sketches = [sketch(picture) for picture in (red, blue)]
    assert len(near_pairs(np.stack([s.gray for s in sketches]), np.stack([s.tint for s in sketches]))) == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_near_pairs_of_hardly_any_pictures(count):
    one = sketch(photo(1))
    gray, tint = np.stack([one.gray] * count or [one.gray])[:count], np.stack([one.tint] * count or [one.tint])[:count]
    assert near_pairs(gray, tint).tolist() == ([[0, 1]] if count == 2 else [])


def test_groups_join_what_pairs_connect():
    assert groups(np.array([[0, 1], [1, 4], [2, 3]]), 6) == [[0, 1, 4], [2, 3]]


def test_many_look_alikes_cost_no_more_than_others():
    """Frames of a film, each within noise of all others: every pair is a candidate, and the search must still end."""
    noise = generator(0, "test frames").integers(-1, 2, (1000, 16, 16))
    frames = (sketch(photo(0)).gray.astype(int) + noise).clip(0, 255).astype(np.uint8)
    pairs = near_pairs(frames, np.zeros((1000, 2, 4, 4), np.int8))
    assert 500 < len(pairs) <= 16 * 1024
    assert sum(len(group) for group in groups(pairs, 1000)) > 750


def test_exact_duplicates_are_all_found(tmp_path):
    pictures = photos(40)
    pictures |= {"copy.png": pictures["000.png"], "again.bmp": encoded(photo(0), "BMP"), "third.png": photo(7)}
    report = check(save(tmp_path, pictures))
    assert sorted(map(sorted, report.exact)) == [["000.png", "again.bmp", "copy.png"], ["007.png", "third.png"]]
    assert report.found("duplicate").count == 3
    assert report.good_for[0].startswith("40 different")


def test_leaks_between_splits_are_found_exact_and_near(tmp_path):
    pictures = photos(40, "train/") | photos(20, "val/", first=100)
    pictures |= {"val/same.png": photo(3), "val/near.jpg": encoded(photo(5), "JPEG", 85)}
    report = check(save(tmp_path, pictures))
    assert set(report.leaks) == {("train/003.png", "val/same.png"), ("train/005.png", "val/near.jpg")}
    assert {"leak", "near_leak"} <= kinds(report, "warning")
    assert report.verdict == "look"


def test_a_near_leak_of_an_exact_copy_is_found(tmp_path):
    """train/a = train/b exactly, and val/c is near them: the pair is reported whichever of the two was compared."""
    pictures = photos(30, "val/", first=200) | photos(30, "train/", first=300)
    pictures |= {"train/a.png": photo(1), "train/b.png": photo(1), "val/c.png": COPIES["brighter"](photo(1))}
    assert set(check(save(tmp_path, pictures)).leaks) == {("train/a.png", "val/c.png"), ("train/b.png", "val/c.png")}


def test_corrupt_files_are_listed_with_a_reason_and_too_many_stop(tmp_path):
    pictures = photos(40) | {"torn.png": encoded(photo(50))[:300], "empty.jpg": b""}
    report = check(save(tmp_path, pictures))
    assert {name for name, _ in report.corrupt} == {"torn.png", "empty.jpg"}
    assert all(reason for _, reason in report.corrupt)
    assert report.found("corrupt").level == "warning" and report.pictures == 40
    save(tmp_path, {"text.png": b"not a picture"})
    assert check(tmp_path).verdict == "stop"
    assert check(tmp_path, DataConfig(max_bad=0.5)).verdict == "look"


def test_only_damaged_files_are_a_report_and_not_a_crash(tmp_path):
    report = check(save(tmp_path, {"a.png": b"", "b.png": b"\x89PNG\r\n\x1a\n"}))
    assert (report.verdict, report.pictures, len(report.corrupt)) == ("stop", 0, 2)
    report.render(Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("kind", "pictures"),
    [
        ("blank", {"blank.png": np.full((64, 64, 3), 77, np.uint8)}),
        ("blank", {"clear.png": np.zeros((64, 64, 4), np.uint8)}),
        ("tiny", {"tiny.png": photo(900, 5, 9)}),
        ("upscaled", {"small.png": photo(901, 24, 24)}),
        ("aspect", {"banner.png": photo(902, 40, 300)}),
        ("misnamed", {"really-a-jpeg.png": encoded(photo(903), "JPEG", 95)}),
        ("mixed", {"gray.png": photo(904)[..., 0]}),
        ("mixed", {"gray-as-colour.png": np.repeat(photo(905)[..., :1], 3, axis=2)}),
        ("jpeg", {"poor.jpg": encoded(photo(906), "JPEG", 40)}),
        ("duplicate", {"twice.png": photo(0)}),
        ("near_duplicate", {"smaller.png": COPIES["half"](photo(0))}),
    ],
)
def test_one_planted_fault_is_found_by_name(tmp_path, kind, pictures):
    report = check(save(tmp_path, photos(40) | pictures))
    assert report.found(kind) is not None
    assert set(pictures) <= set(report.found(kind).examples)
    assert report.found(kind).count <= 2


def test_pngs_that_were_jpegs_are_noticed(tmp_path):
    clean = check(save(tmp_path / "clean", {f"{i}.png": photo(i, 128, 128) for i in range(24)}))
    coded = {f"{i}.png": decoded(encoded(photo(i, 128, 128), "JPEG", 60)) for i in range(24)}
    assert clean.found("was_jpeg") is None
    assert check(save(tmp_path / "coded", coded)).found("was_jpeg").level == "warning"
    some = {f"{i}.png": photo(i, 128, 128) for i in range(30)} | {"old.png": coded["3.png"]}
    assert check(save(tmp_path / "some", some)).found("was_jpeg").examples == ("old.png",)


def test_a_set_of_gray_pictures_stored_in_colour(tmp_path):
    gray = {f"{i}.png": np.repeat(photo(i)[..., :1], 3, axis=2) for i in range(20)}
    report = check(save(tmp_path, gray))
    assert "channels=1" in report.found("gray").message
    assert report.found("mixed") is None


def test_alpha_that_hides_nothing(tmp_path):
    pictures = {f"{i}.png": np.dstack([photo(i), np.full((64, 64), 255, np.uint8)]) for i in range(10)}
    assert check(save(tmp_path, pictures)).found("opaque").count == 10


def test_class_imbalance(tmp_path):
    report = check(save(tmp_path, photos(44, "cat/") | photos(4, "dog/", first=100)))
    assert report.classes == {"cat": 44, "dog": 4}
    assert "'dog' only 4" in report.found("imbalance").message
    assert any("smallest class has 4" in sentence for sentence in report.good_for)


def test_hostile_files_neither_hang_nor_crash(tmp_path):
    save(tmp_path, photos(30))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "bomb.png").write_bytes(
        encoded(np.zeros((9, 9), np.uint8)).replace(b"\0\0\0\x09\0\0\0\x09", b"\0\1\0\0" * 2)
    )
    (tmp_path / "[red]\x1b[31m.png").write_bytes(b"junk")
    report = check(tmp_path)
    out = io.StringIO()
    report.render(Console(file=out, width=120))
    assert report.pictures == 30
    assert {name for name, _ in report.corrupt} >= {"bomb.png", "[red]\x1b[31m.png"}
    assert "\x1b" not in out.getvalue()
    json.dumps(report.to_dict())


def test_the_report_shows_what_it_found(tmp_path):
    report = check(save(tmp_path, photos(30, "a/") | photos(30, "b/", first=50) | {"a/twice.png": photo(0)}))
    out = io.StringIO()
    report.render(Console(file=out, width=120))
    for words in ("61", "class", "64x64", "exact repeats", "trying things out", "worth a look first"):
        assert words in out.getvalue()
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["verdict"] == report.verdict == "look"
    assert plain["classes"] == {"a": 31, "b": 30}


def test_progress_reaches_the_end(tmp_path):
    seen: list[tuple[int, int]] = []
    check(save(tmp_path, photos(70)), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (70, 70) and seen == sorted(seen)


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(DataError):
        check(tmp_path)


def test_advice_grows_with_the_number_of_pictures():
    assert len({advice.good_for(count) for count in (0, 1, 99, 100, 1_000, 10_000, 50_000, 10**6)}) == 7
    assert "Fréchet" in advice.measurable(2048) and "biased" in advice.measurable(2048)
    assert "biased" not in advice.measurable(2049)
