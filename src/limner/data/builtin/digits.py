"""Small grey digits for tests and first tries: the 1,797 handwritten digits of UCI's optical recognition test set.

The pictures are shipped in digits.npz; digits.txt says where they come from.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from io import BytesIO

import numpy as np

from ..sources.base import Record
from .drawn import BuiltIn

ATTRIBUTION = "Optical Recognition of Handwritten Digits by E. Alpaydin and C. Kaynak, UCI. License: CC BY 4.0"
TRAIN = 1437  # the rest is for testing; the set runs by writer, so these writers are new


class Digits(BuiltIn):
    """`builtin:digits`: 8x8 grey pictures, labelled 0 to 9, split into train (1,437) and test (360)."""

    shape = (8, 8, 1)

    def __init__(self) -> None:
        stored = files(__package__).joinpath("digits.npz").read_bytes()
        self._hash = hashlib.sha256(stored).hexdigest()
        with np.load(BytesIO(stored), allow_pickle=False) as arrays:
            counts, labels = arrays["images"], arrays["labels"]  # (1797, 8, 8) in 0 … 16, (1797,)
        self._images = np.rint(counts * (255 / 16)).astype(np.uint8)[..., None]  # (1797, 8, 8, 1)
        records = [
            Record(f"{index:04d}", "train" if index < TRAIN else "test", str(label))
            for index, label in enumerate(labels)
        ]
        super().__init__(records, layout="built-in handwritten digits", attribution=ATTRIBUTION)

    def read(self, index: int) -> np.ndarray:
        """(8, 8, 1) uint8."""
        return self._images[index]

    def fingerprint(self) -> str:
        return self._hash
