"""Trains a VAE with pythae, a round at a time: run by vae_pythae.py in pythae's own environment.

    python pythae_worker.py IMAGES.npy FOLDER BATCH STEPS

Each line on stdin is answered by the seconds of the next STEPS training steps. The trainer is stopped by a callback at
the end of a step, so all that it does in a step is counted, and nothing else. Imports nothing of Limner.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback


class Rounds(TrainingCallback):
    """Waits for a line before each round and answers it at its end."""

    def __init__(self, steps: int) -> None:
        self.steps, self.taken, self.since = steps, 0, 0.0
        self.answers = os.fdopen(os.dup(1), "w")  # the trainer's own messages must not come between
        os.dup2(2, 1)

    def on_train_begin(self, training_config, **_) -> None:
        self._wait()

    def on_train_step_end(self, training_config, **_) -> None:
        self.taken += 1
        if self.taken % self.steps == 0:
            print(time.perf_counter() - self.since, file=self.answers, flush=True)
            self._wait()

    def _wait(self) -> None:
        if not sys.stdin.readline():
            sys.exit()
        self.since = time.perf_counter()


def main(images: str, folder: str, batch: str, steps: str) -> None:
    pixels = torch.from_numpy(np.load(images)).permute(0, 3, 1, 2).float() / 255  # (N, 1, 28, 28) in [0, 1]
    torch.manual_seed(0)
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
    config = BaseTrainerConfig(
        output_dir=folder, num_epochs=10**6, learning_rate=1e-3, per_device_train_batch_size=int(batch)
    )
    data = BaseDataset(pixels, torch.zeros(len(pixels)))
    BaseTrainer(model, data, training_config=config, callbacks=[Rounds(int(steps))]).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
