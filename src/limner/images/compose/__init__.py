"""Several pictures in one, without any model: blending by masks, colours that fit, textures without edges, panoramas.

Pictures are float64 (H, W, C) in 0 … 255, masks (H, W) in 0 … 1; nothing here rounds or clips but `finished`.
"""

import numpy as np


def finished(image: np.ndarray) -> np.ndarray:
    """(H, W, C) of any numbers -> uint8, rounded and clipped."""
    return np.floor(image + 0.5).clip(0, 255).astype(np.uint8)
