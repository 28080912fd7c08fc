"""Folders of image files: flat, one per class, train/val/test, with or without caption files beside the images."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

from ...errors import BadImage
from ...images.sniff import format_of
from ..names import few
from .base import SPLITS, Findings, Record, Source
from .tree import Tree, shared_folder, split_of

IMAGE_ENDINGS = frozenset("png jpg jpeg jpe jfif webp bmp dib gif tif tiff".split())
_OTHER_ENDINGS = frozenset(
    "txt caption json jsonl csv tsv md rst html htm xml yaml yml toml ini cfg py ipynb sh log pdf doc docx zip tar gz "
    "tgz bz2 xz 7z rar parquet arrow pkl pt pth ckpt safetensors npy npz bin db sqlite mat mp4 avi mov mp3 wav "
    "svg".split()
)
MAX_CAPTION_FILE = 64 << 10


class FileSource(Source):
    """Records whose names are image files of a tree.

    others   files besides the images that the records were made from: tables and caption files
    """

    def __init__(
        self, tree: Tree, records: Sequence[Record], *, layout: str, findings: Findings, others: Sequence[str] = ()
    ) -> None:
        super().__init__(records, layout=layout, findings=findings)
        self._tree, self._others = tree, others

    def read(self, index: int) -> bytes:
        return self._tree.read(self.records[index].name)

    def fingerprint(self) -> str:
        digest = hashlib.sha256(json.dumps([self.layout, vars(self.findings)], sort_keys=True).encode())
        for names in ([record.name for record in self.records], self._others):
            digest.update(self._tree.hash_files(names).encode())
        return digest.hexdigest()


def open_folder(tree: Tree) -> FileSource:
    """Images that lie in folders; what the folders mean is read off their names."""
    findings = tree.findings
    images = image_names(tree, findings)
    base = len(shared_folder(images))
    split_folders = _are_split_folders([name[base:] for name in images])
    if split_folders:
        images = _in_split_folders(images, base, findings)
    labels = _labels([name[base:] for name in images], depth=1 if split_folders else 0)
    captions, sidecars = _sidecars(tree, images, findings)
    records = [
        Record(name, folder_split(name[base:]) if split_folders else "train", label, captions.get(name, ()))
        for name, label in zip(images, labels, strict=True)
    ]
    words = ["class folders" if any(labels) else "a flat folder"]
    words += ["in train/val/test folders"] * split_folders + ["with caption files"] * bool(captions)
    return FileSource(tree, by_split(records), layout=" ".join(words), findings=findings, others=sidecars)


def has_images(tree: Tree) -> bool:
    """Whether a file is called an image."""
    return any(ending(name) in IMAGE_ENDINGS for name in tree.names)


def by_split(records: list[Record]) -> list[Record]:
    """Train first, then val, then test; the order within each is kept."""
    return sorted(records, key=lambda record: SPLITS.index(record.split))


def image_names(tree: Tree, findings: Findings) -> list[str]:
    """The files that are meant as images: by their ending, or where that says nothing, by their first bytes."""
    images = []
    for name in tree.names:
        known = ending(name)
        if known in IMAGE_ENDINGS or (known not in _OTHER_ENDINGS and looks_like_image(tree, name)):
            images.append(name)
        elif known not in _OTHER_ENDINGS:
            findings.skip("not an image")
    return images


def ending(name: str) -> str:
    """The ending of a name in lower case, without its dot: png of a/b.PNG."""
    return os.path.splitext(name)[1][1:].lower()


def looks_like_image(tree: Tree, name: str) -> bool:
    """Whether a file begins as one of the accepted formats does."""
    try:
        with tree.open(name) as file:
            return format_of(file.read(32)) is not None
    except (BadImage, OSError):
        return False


def folder_split(name: str) -> str:
    """The split that the first folder of a name says; train when it says none."""
    return split_of(name.split("/", 1)[0]) or "train"


def _are_split_folders(images: list[str]) -> bool:
    folders = {name.split("/", 1)[0] for name in images if "/" in name}
    splits = {folder for folder in folders if split_of(folder)}
    # a class may be called "test", but not beside a folder called "train"
    return bool(splits) and (splits == folders or any(split_of(folder) == "train" for folder in splits))


def _in_split_folders(images: list[str], base: int, findings: Findings) -> list[str]:
    inside: list[str] = []
    outside: list[str] = []
    for name in images:
        (inside if split_of(name[base:].split("/", 1)[0]) else outside).append(name)
    if outside:
        few_outside = few(outside)
        findings.warnings.append(
            f"{len(outside)} images outside the train/val/test folders were left out: {few_outside}"
        )
    return inside


def _labels(images: list[str], depth: int) -> list[str | None]:
    """The folder at `depth` of each name; no labels at all unless there are two such folders."""
    folders = [parts[depth] if len(parts := name.split("/")) > depth + 1 else None for name in images]
    classes = {folder: folder for folder in folders if folder is not None}  # one string object per class
    return [folder and classes[folder] for folder in folders] if len(classes) > 1 else [None] * len(images)


def _sidecars(tree: Tree, images: list[str], findings: Findings) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Captions of the images that have a .txt or .caption file of the same name; and those files."""
    files = {name for name in tree.names if ending(name) in ("txt", "caption")}
    if not files:
        return {}, []
    captions: dict[str, tuple[str, ...]] = {}
    used = []
    for name in images:
        stem = os.path.splitext(name)[0]
        found = next((stem + end for end in (".txt", ".caption") if stem + end in files), None)
        if found:
            used.append(found)
            captions[name] = read_captions(tree, found, findings)
    if used:
        findings.files_without_row += [name for name in images if name not in captions]
        findings.rows_without_file += sorted(files - set(used))
    return captions, used


def read_captions(tree: Tree, name: str, findings: Findings) -> tuple[str, ...]:
    """The lines of a caption file that are not empty."""
    try:
        text = tree.read(name, MAX_CAPTION_FILE).decode("utf-8-sig")
    except (BadImage, UnicodeDecodeError) as error:
        findings.warnings.append(f"caption file {name!r} was left out: {error}")
        return ()
    return tuple(line.strip() for line in text.splitlines() if line.strip())
