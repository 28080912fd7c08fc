"""The bicubic row of super-resolution tables: `python -m benchmarks.quality_bicubic PATH`.

PATH is a folder of images, such as Set5. Prints PSNR and SSIM of bicubic enlargement at x2, x3 and x4 under the
protocol of limner/metrics/superresolution.py. A folder named Set5 is held to its goal: exit code 1 when a row is more
than 0.02 dB away. Published for Set5: 33.66 / .9299, 30.39 / .8682 and 28.42 / .8104.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from limner.images.read import decode
from limner.metrics.superresolution import Quality, bicubic_row

GOAL = {2: Quality(33.65, 0.9296), 3: Quality(30.39, 0.8681), 4: Quality(28.42, 0.8103)}
TOLERANCE = 0.02  # dB
SUFFIXES = {".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    given = parser.parse_args()
    files = sorted(file for file in given.path.iterdir() if file.suffix.lower() in SUFFIXES)
    images = [decode(file) for file in files]
    is_set5, missed = given.path.name.lower() == "set5", False
    for scale, goal in GOAL.items():
        found = bicubic_row(images, scale)
        line = f"x{scale}: {found.psnr:.3f} dB, SSIM {found.ssim:.4f}, {len(images)} images, Y, {scale} px cut"
        if is_set5:
            missed |= abs(found.psnr - goal.psnr) > TOLERANCE
            line += f"; goal {goal.psnr:.2f} / {goal.ssim:.4f}, off by {found.psnr - goal.psnr:+.3f} dB"
        print(line)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
