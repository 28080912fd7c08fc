"""One training step: run the model's losses in the order it yields them, and step the optimiser of each phase.

It knows nothing of data, time, checkpoints or recovery. A loss is back-propagated into its own phase's parameters
alone, which costs what freezing the others would cost and leaves no stray gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite

import torch
from torch import Tensor, nn

from ..model import Loss, Model, Step, Terms
from ..rng import StepRng, mixed
from ..types import Batch
from .precision import Arithmetic

_WHOLE_EVERY = 16  # steps between looks at every gradient; between them the telling ones do
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)


class NonFinite(Exception):
    """A loss or a gradient of `phase` is not finite; nothing of that phase was stepped."""

    def __init__(self, phase: str, what: str) -> None:
        super().__init__(phase, what)
        self.phase, self.what = phase, what
        self.batch: list[str] = []  # names of images it happened on, as far as known

    def __str__(self) -> str:
        where = f" on the batch of {', '.join(self.batch)} …" if self.batch else ""
        return f"{self.what} of phase {self.phase!r} is not finite{where}"


@dataclass
class StepLog:
    """What one step gave, as tensors on the device: reading them can wait until they are shown."""

    values: dict[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def take(self, phase: str, terms: Terms, share: float) -> None:
        """Add the terms of one part of the batch."""
        for term, value in (terms() if callable(terms) else terms).items():
            name, part = f"{phase}/{term}", value.detach() * share
            self.values[name] = self.values[name] + part if name in self.values else part


class Stepper:
    """Takes training steps of one model."""

    def __init__(
        self,
        model: Model,
        optimizers: Mapping[str, torch.optim.Optimizer],
        *,
        arithmetic: Arithmetic,
        device: torch.device,
        seed: int,
        clip: float | None = None,
        accumulate: int = 1,
    ) -> None:
        self.model, self.optimizers, self.phases = model, optimizers, model.phases()
        self.arithmetic, self.device = arithmetic, device
        self.seed, self.clip, self.accumulate = seed, clip, accumulate
        self._telling = {phase: _telling(model, parameters) for phase, parameters in self.phases.items()}
        self._base_lr = {phase: optimizer.param_groups[0]["lr"] for phase, optimizer in optimizers.items()}

    def set_lr(self, factor: float) -> None:
        """Scale every phase's learning rate."""
        for phase, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self._base_lr[phase] * factor

    def step(
        self, batch: Batch, index: int, images: int, *, progress: float = 1.0, logged: bool = True
    ) -> StepLog | None:
        """Take step `index` on `batch`, after `images` images, at `progress` of the run.

        logged   whether to note what it gave; None comes back otherwise
        Raises NonFinite before it would do harm.

        With `accumulate` = n the batch is taken in n parts whose losses run in lockstep, so that each optimiser step
        sees the gradient of the whole batch. Each loss is back-propagated before the next part's is made, so only one
        graph is held at a time. Batch statistics (BatchNorm) are those of a part.
        """
        log = StepLog() if logged else None
        # dropout and the like draw from torch's own generator, which is therefore a function of (seed, step) too
        seed_torch(mixed(self.seed, index), self.device)
        parts = [self._part(batch, index, images, progress, part) for part in range(self.accumulate)]
        while True:
            losses = map(self._advance, parts)
            first = next(losses)
            if first is None:
                return log
            self._update(first.phase, chain((first,), losses), log, whole=index % _WHOLE_EVERY == 0)

    def _part(self, batch: Batch, index: int, images: int, progress: float, part: int) -> Iterator[Loss]:
        """The losses of one part of the batch, with that part's share of the step's noise."""
        size = len(batch) // self.accumulate
        start, stop = part * size, (part + 1) * size
        rng = StepRng(self.seed, index, start=start, stop=stop, total=len(batch), device=self.device)
        rows = batch if self.accumulate == 1 else batch.rows(start, stop)
        return self.model.losses(rows, Step(index, images, rng, progress))

    def _advance(self, part: Iterator[Loss]) -> Loss | None:
        with self.arithmetic.autocast(self.device):
            return next(part, None)

    def _update(self, phase: str, losses: Iterable[Loss | None], log: StepLog | None, *, whole: bool) -> None:
        """Back-propagate the parts of one loss as they are made, and step its phase.

        whole   look at every gradient, not only at the telling ones; a clipped step does in any case
        """
        share = 1 / self.accumulate
        parameters, optimizer = self.phases[phase], self.optimizers.get(phase)
        _forget(parameters)
        total: Tensor | None = None
        for loss in losses:
            assert loss is not None and loss.phase == phase, "all parts of a batch yield the same phases"
            value = loss.value if share == 1 else loss.value * share
            if parameters:  # a phase without any (expectation-maximisation) updates itself after the yield
                value.backward(inputs=parameters)
            total = value.detach() if total is None else total + value.detach()
            if log is not None:
                log.take(phase, loss.terms, share)
        assert total is not None, "a batch has at least one part"
        whole = whole or self.clip is not None
        norm = self._norm_of(parameters) if whole or log is not None else None
        checked = norm if whole else _sum(self._telling[phase])  # never as the log pleases: that goes by the clock
        # one test for both: a loss that is not finite with finite gradients is caught as well
        if not isfinite(total if checked is None else total + checked):
            _forget(parameters)
            raise NonFinite(phase, "the gradient" if isfinite(total) else "the loss")
        if self.clip is not None and norm is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.clip, norm)
        if optimizer is not None:
            optimizer.step()
        if log is not None and norm is not None:
            log.values[f"{phase}/loss"] = total
            log.values[f"{phase}/gradient_norm"] = norm

    def _norm_of(self, parameters: list[nn.Parameter]) -> Tensor:
        """The norm of these parameters' gradients; 0 when the loss depends on none of them."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        return _norm(gradients) if gradients else torch.zeros((), device=self.device)


def _telling(model: nn.Module, parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    """Those whose gradients tell of all: what is not finite in the gradient of a layer's weight is so in its bias's.

    Both are sums of the same errors, over a bias a thousandth as long. Only a sum that overflows may show in the weight
    alone, and a cost of the weight itself; the next look at every gradient finds it, or the next loss.
    """
    owned, layers = {id(parameter) for parameter in parameters}, list(model.modules())
    spared = {id(layer.weight) for layer in layers if isinstance(layer, _LAYERS) and id(layer.bias) in owned}
    shared = {id(each) for it in layers if not isinstance(it, _LAYERS) for each in it.parameters(recurse=False)}
    return [parameter for parameter in parameters if id(parameter) not in spared - shared]


def _sum(parameters: list[nn.Parameter]) -> Tensor | None:
    """The sum of these parameters' gradients, which is finite if all of them are; None when there are none."""
    gradients = [parameter.grad.flatten() for parameter in parameters if parameter.grad is not None]
    return torch.cat(gradients).sum() if gradients else None


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed the generators that `device` draws from.

    Not torch.manual_seed: for each kind of accelerator that is not in use it formats a stack trace, in 0.1 to 0.7 ms.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def _norm(gradients: list[Tensor]) -> Tensor:
    """Scalar: the norm of all gradients as one vector."""
    if gradients[0].device.type == "cpu" and all(gradient.dtype == torch.float32 for gradient in gradients):
        # a product with itself takes two thirds of the time of a norm; memory order plays no part in a sum
        flat = [gradient.as_strided((gradient.numel(),), (1,)) for gradient in gradients if _is_dense(gradient)]
        if len(flat) == len(gradients):
            return torch.stack([torch.dot(part, part) for part in flat]).sum().sqrt()
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


def _is_dense(tensor: Tensor) -> bool:
    """Whether its elements fill one stretch of memory, in whatever order."""
    return tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last))


def _forget(parameters: list[torch.nn.Parameter]) -> None:
    """Drop gradients: the optimiser's zero_grad without its profiler hooks, a twentieth of the time."""
    for parameter in parameters:
        parameter.grad = None
