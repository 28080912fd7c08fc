"""Memory stays bounded however many images there are: they are streamed into the cache and mapped from it."""

import shutil
import subprocess
import sys

import pytest
from data_cases import picture, png

TRAIN = """
import sys
import torch
from itertools import islice
from pathlib import Path
from limner.data import DataConfig, open_data
from limner.data.loader import Loader, to_batch

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

base = peak()
dataset = open_data(sys.argv[1], DataConfig(resolution=sys.argv[2]))
loader = Loader(dataset, batch_size=128, seed=0)
for batch in islice(loader, 2 * len(dataset) // 128):
    to_batch(batch)
print(len(dataset), peak() - base)
"""


def growth(folder, count, resolution):
    """MiB that opening `count` images and two epochs over them add to what importing torch takes."""
    distinct = [png(picture(seed)) for seed in range(16)]
    for shard in range(count // 1000):
        (folder / f"{shard:03d}").mkdir()
        for index in range(1000):
            (folder / f"{shard:03d}/{index:06d}.png").write_bytes(distinct[index % 16])
    command = [sys.executable, "-c", TRAIN, str(folder), str(resolution)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    found, growth = run.stdout.split()
    assert int(found) == count
    return float(growth)


@pytest.fixture
def folder(tmp_path):
    yield tmp_path
    shutil.rmtree(tmp_path)  # pytest would keep its many files for the next three runs


def test_twenty_thousand_images(folder):
    assert growth(folder, 20_000, 8) < 60  # measured 15


@pytest.mark.heavy
def test_two_hundred_thousand_images(folder):
    assert growth(folder, 200_000, 32) < 600  # the images alone are 586
