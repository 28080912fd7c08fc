"""Damaged tables, arrays and archives: opened, or refused with one of our errors."""

import json
import random

import numpy as np
import pytest
from data_cases import gz, idx, pack, picture, pictures, write

from limner.data import DataConfig, open_data
from limner.errors import LimnerError


def tables(root):
    write(root, {f"{seed}.png": picture(seed) for seed in range(4)})
    rows = [{"file_name": f"{seed}.png", "text": "t", "age": seed + 0.5, "tags": ["a", "b"]} for seed in range(4)]
    return write(root, {"metadata.jsonl": "\n".join(map(json.dumps, rows))}) / "metadata.jsonl"


def csv_tables(root):
    write(root, {f"{seed}.png": picture(seed) for seed in range(4)})
    rows = "".join(f'{seed}.png,"a, ""b""",{seed}\n' for seed in range(4))
    return write(root, {"metadata.csv": "file_name,text,age\n" + rows}) / "metadata.csv"


def celeba(root):
    write(root, {f"{seed}.jpg": picture(seed) for seed in range(4)})
    rows = "".join(f"{seed}.jpg -1 1\n" for seed in range(4))
    return write(root, {"list_attr_celeba.txt": "4\nA B\n" + rows}) / "list_attr_celeba.txt"


def idx_gz(root):
    return write(root, {"train-images-idx3-ubyte.gz": gz(idx(pictures(4)[..., 0]))}) / "train-images-idx3-ubyte.gz"


def plain_idx(root):
    return write(root, {"train-images-idx3-ubyte": idx(pictures(4)[..., 0])}) / "train-images-idx3-ubyte"


def npz(root):
    root.mkdir()
    np.savez_compressed(root / "set.npz", images=pictures(4) / 255, labels=[1, 0, 1, 0])
    return root / "set.npz"


def tar(root):
    return pack(write(root / "set", {f"{seed}.png": picture(seed) for seed in range(4)}), root / "set.tar")


def tar_gz(root):
    return pack(write(root / "set", {f"{seed}.png": picture(seed) for seed in range(4)}), root / "set.tar.gz")


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Some bytes changed, and sometimes the end cut off or doubled."""
    out = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 8])):
        # headers are at both ends, and little happens in between
        place = draw.choice(
            [draw.randrange(len(out)), draw.randrange(min(64, len(out))), -1 - draw.randrange(min(64, len(out)))]
        )
        out[place] = draw.choice([0, 255, draw.randrange(256)])
    return bytes(draw.choice([out, out, out, out[: draw.randrange(len(out))], out + out]))


@pytest.mark.parametrize("make", [tables, csv_tables, celeba, idx_gz, plain_idx, npz, tar, tar_gz])
def test_damaged_files_are_opened_or_refused(tmp_path, make):
    victim = make(tmp_path / "set")
    path = victim if make in (tar, tar_gz, npz) else victim.parent
    data = victim.read_bytes()
    assert len(open_data(path)) == 4
    draw, opened = random.Random(0), 0
    for _ in range(150):
        victim.write_bytes(damaged(data, draw))
        try:
            open_data(path, DataConfig(max_bad=1))
            opened += 1
        except LimnerError as error:
            assert str(error)
    assert opened < 150
