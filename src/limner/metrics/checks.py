"""What every comparison of two sets of feature rows begins with."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError
from .neighbours import check_rows


def check_sides(generated: np.ndarray, real: np.ndarray, *, what: str = "features") -> None:
    """Raise ConfigError unless both are (N, D) rows of one D, DataError for values that are not finite."""
    check_rows(generated, f"generated {what}")
    check_rows(real, f"real {what}")
    if generated.shape[1] != real.shape[1]:
        raise ConfigError(
            f"generated rows of {generated.shape[1]} {what} and real rows of {real.shape[1]} cannot be compared; "
            "use one feature space for both"
        )
