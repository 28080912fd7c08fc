"""The models that others should beat, on MNIST: `python -m benchmarks.quality_floors PATH --only mob,rbm --budget 60s`.

PATH is a folder with MNIST's IDX files. Prints, each with its standard error, the time and the settings:

    mob    mixture of 500 Bernoullis: nats of dynamically binarised test images, exact        goal: 126 in 60 s
    rbm    500 hidden units: the same nats, by annealed importance sampling                   goal: 95 in 10 minutes
    gmm    mixture of factor analysers: nats of dequantised test images and bits per pixel
    crbm   the share of samples that a classifier takes for the class that was asked for      goal: above chance

Published: a mixture of 500 Bernoullis has 137.6 nats on MNIST binarised once (Larochelle & Murray 2011), a machine of
500 units trained for far longer 86.3 (Salakhutdinov & Murray 2008).
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

import limner
from limner.config import parse_value
from limner.data.loader import to_batch
from limner.rng import ImageRng
from limner.training.show import TerminalShow
from limner.types import Condition

from . import machine

ROWS = 500  # images scored at once
BUDGETS = {"mob": "60s", "rbm": "10m", "gmm": "3m", "crbm": "5m"}
SAMPLES = 1_000  # of the conditional machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--only", default=",".join(BUDGETS), help="some of mob, rbm, gmm, crbm; with commas")
    parser.add_argument("--budget", default=None, help="of each; by default those of the goals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", default=None, help="judge this finished run instead of training one")
    parser.add_argument("--set", action="append", default=[], metavar="key=value", help="a setting of the model")
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := set(names) - set(BUDGETS):
        parser.error(f"no floor is called {', '.join(sorted(unknown))}; there are {', '.join(BUDGETS)}")
    for name in names:
        watch = machine.Watch()
        trained = limner.load(given.run) if given.run else train(name, given)
        others, start = watch.others(), time.perf_counter()
        for line in JUDGES[name](trained, given.path):
            print(f"{name}: {line}")
        about = trained.about
        settings = " ".join([f"budget={given.budget or BUDGETS[name]}", f"seed={given.seed}", *given.set])
        print(f"{name}: {about['minutes']} minutes, {about['steps']:,} steps, {about['images_shown']:,} images shown,")
        print(f"{name}: weights {about['weights']}, {settings}; judged in {time.perf_counter() - start:.0f} s;")
        print(f"{name}: others took {others:.0f} % of the machine meanwhile", flush=True)


def train(name: str, given: argparse.Namespace) -> limner.Trained:
    """The model of that name, trained for its budget."""
    model = {"mob": "bernoulli-mixture"}.get(name, name)
    settings = {key: parse_value(value) for key, value in (item.split("=", 1) for item in given.set)}
    return limner.train(
        model,
        given.path,
        out=tempfile.mkdtemp(prefix="limner-floors-") + "/run",
        config={"conditional": "auto" if name == "crbm" else "none", **settings},
        budget=given.budget or BUDGETS[name],
        seed=given.seed,
        preview_every="0",
        checkpoint_every="5m",
        tensorboard=False,
        show=TerminalShow(),
    )


# --- likelihoods ------------------------------------------------------------------------------------------------------


def nats(trained: limner.Trained, path: str) -> np.ndarray:
    """(10,000,) minus log p of each test image; image k draws its noise, binarisation included, from key k."""
    test = limner.open_data(path, split="test")
    parts = []
    for start in range(0, len(test), ROWS):
        rows = np.arange(start, min(start + ROWS, len(test)))
        image, rng = to_batch(test.batch(rows)).image, ImageRng(1, rows, purpose="likelihood")
        parts.append(-trained.network.log_likelihood(image, Condition(), rng, 1))  # type: ignore[operator]
    return torch.cat(parts).numpy()


def exact(trained: limner.Trained, path: str) -> Iterator[str]:
    found = nats(trained, path)
    yield f"{found.mean():.3f} nats (standard error {_error(found):.3f}), exact, over {len(found):,} test images"


def annealed(trained: limner.Trained, path: str) -> Iterator[str]:
    found, partition = nats(trained, path), trained.network.log_partition(Condition())  # type: ignore[operator]
    yield f"{found.mean():.3f} nats (standard error {_error(found):.3f}) over {len(found):,} test images"
    yield (
        f"log Z {partition.value:.3f} (standard error {partition.standard_error:.3f}; {partition.chains} chains, "
        f"of which {partition.effective_chains:.0f} count, of {partition.steps:,} steps)"
    )


def density(trained: limner.Trained, path: str) -> Iterator[str]:
    found, pixels = nats(trained, path), math.prod(trained.data.shape)
    yield f"{found.mean():.2f} nats (standard error {_error(found):.2f}), a density of dequantised images on [-1, 1]"
    bits = (found / pixels + math.log(128)) / math.log(2)
    yield f"{bits.mean():.4f} bits per pixel (standard error {_error(bits):.4f}), dequantised uniformly"


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


# --- the conditional machine ------------------------------------------------------------------------------------------


def recognised(trained: limner.Trained, path: str) -> Iterator[str]:
    """How often a classifier of real images sees the class that a sample was asked to be of."""
    weight = classifier(*_images(path, "train", 20_000))
    real, labels = _images(path, "test", 10_000)
    yield f"the classifier (logistic regression) is right for {_share(weight, real, labels)} of the test images"
    classes = trained.data.classes
    each = SAMPLES // len(classes)
    made = [trained.sample(each, seed=1, first=each * index, label=label) for index, label in enumerate(classes)]
    pictures = torch.from_numpy(np.concatenate([part.images for part in made])).float().flatten(1) / 127.5 - 1
    asked = torch.arange(len(classes)).repeat_interleave(each)
    yield f"and for {_share(weight, pictures, asked)} of the samples; chance is {1 / len(classes):.1%}"


def classifier(images: Tensor, labels: Tensor) -> Tensor:
    """(D + 1, C) weights of a logistic regression on (N, D) images, with a little weight decay."""
    rows = _with_one(images)
    weight = torch.zeros(rows.shape[1], int(labels.max()) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight], max_iter=100, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(rows @ weight, labels) + 1e-4 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return weight.detach()


def _images(path: str, split: str, most: int) -> tuple[Tensor, Tensor]:
    """(N, D) pixels in [-1, 1] and (N,) labels of the first images of a split."""
    data = limner.open_data(path, split=split)
    batch = to_batch(data.batch(np.arange(min(most, len(data)))))
    return batch.image.flatten(1), torch.as_tensor(batch.condition.label)


def _share(weight: Tensor, images: Tensor, labels: Tensor) -> str:
    right = ((_with_one(images) @ weight).argmax(1) == labels).double()
    return f"{right.mean():.1%} (standard error {right.std() / math.sqrt(len(right)):.1%})"


def _with_one(images: Tensor) -> Tensor:
    return torch.cat([images, torch.ones(len(images), 1)], 1)


JUDGES: dict[str, Callable[[limner.Trained, str], Iterator[str]]] = {
    "mob": exact,
    "rbm": annealed,
    "gmm": density,
    "crbm": recognised,
}

if __name__ == "__main__":
    main()
