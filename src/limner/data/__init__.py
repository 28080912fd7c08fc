"""Data sets: from what people have on their disks to batches.

    from limner.data import DataConfig, open_data

    dataset = open_data("photos", DataConfig(resolution=64))
    batch = dataset.batch(np.arange(16))              # uint8 (16, 64, 64, C)

`loader.Loader` makes the endless batches of a training run; it is imported by its own name because it needs torch.
"""

from .config import DataConfig
from .dataset import Dataset, RawBatch
from .open import open_data
from .report import Column, LoadReport
from .sources.base import Record, Source

__all__ = ["Column", "DataConfig", "Dataset", "LoadReport", "RawBatch", "Record", "Source", "open_data"]
