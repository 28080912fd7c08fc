"""The trade of a beta-VAE on `builtin:shapes`: `python -m benchmarks.quality_beta --steps 1500`.

Reconstruction error must rise and KL fall with beta (Higgins et al. 2017, beta-VAE). Both are printed for 512 images.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import torch

import limner
from limner.data.loader import to_batch
from limner.losses.divergence import gaussian_kl

BETAS = (0.25, 1.0, 4.0, 16.0, 64.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--resolution", default="32")
    given = parser.parse_args()
    reading = limner.DataConfig(resolution=given.resolution)
    data = limner.open_data("builtin:shapes", reading, split=None)
    rows = np.arange(len(data) - 512, len(data))
    batch = to_batch(data.batch(rows))
    print("  beta   squared error per pixel   KL, nats")
    for beta in BETAS:
        trained = limner.train(
            "vae",
            "builtin:shapes",
            out=tempfile.mkdtemp(prefix="limner-beta-") + "/run",
            config={"beta": beta, "likelihood": "bernoulli", "conditional": "none", "latent": 10, "width": 16},
            data_config=reading,
            steps=given.steps,
            preview_every="0",
            checkpoint_every="0",
            tensorboard=False,
        )
        network = trained.network
        with torch.inference_mode():
            mean, log_variance = network._posterior(batch.image, network._encode(batch.condition, len(rows)))
            kl = gaussian_kl(mean, log_variance).sum(1).mean()
            error = (network.decode(mean, batch.condition) - batch.image).square().mean()
        print(f"{beta:6.2f}   {float(error):23.5f}   {float(kl):8.2f}")


if __name__ == "__main__":
    main()
