"""What must hold for every model, as functions that raise AssertionError when it does not.

test_catalogue.py holds them against the whole catalogue, and against toys that each break one of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import back_to, batch_of, build, few, result, run, stepper, take_steps, tiny
from torch import Tensor, nn

from limner import bundle, models
from limner.data import Dataset
from limner.data.loader import to_batch
from limner.errors import ConfigError, NotAble
from limner.model import Denoises, Encodes, Model, Samples, Step, Tokenizes, Transforms
from limner.rng import ImageRng, StepRng
from limner.tasks import apply, conditions, generate, reconstruct
from limner.training import precision
from limner.training.inference import fit_density
from limner.training.precision import Arithmetic
from limner.types import Batch, Condition

DEFAULTS = {"batch", "phases", "lr_schedule", "warmup_images", "clip", "ema_halflife_images", "weights"}
PHASE_DEFAULTS = {"optimizer", "lr", "betas", "weight_decay", "momentum"}
LATE = 10**15  # images after which every schedule of a loss is at its end


def trained(name: str, dataset: Dataset, steps: int = 5, *, seed: int = 0, run_seed: int = 0, **config) -> Model:
    """A model after a few steps, in eval mode, able to sample."""
    model = take_steps(build(name, dataset, seed=seed, **config), dataset, steps, seed=run_seed).eval()
    fit_density(model, dataset, seed=0)
    return model


def weights(model: Model) -> Tensor:
    """(P,) all that a model has learned, in one row."""
    return torch.cat([tensor.detach().double().flatten() for tensor in model.state_dict().values()])


def bank(dataset: Dataset):
    return conditions.bank(dataset.labels, dataset.attributes, dataset.known, dataset.spec, seed=0)


def pictures(model: Model, dataset: Dataset, indices, **asked) -> Tensor:
    """Samples by index, (N, C, H, W); of a model that makes none, reconstructions of the images of those indices."""
    if isinstance(model, Transforms):
        batch = to_batch(dataset.batch(np.asarray(indices)))
        asked.pop("options", None)
        if asked and getattr(model.config, "conditional", "none") == "none":
            generate.need(model, Samples)  # which it is not: nothing can be asked of it
        batch.condition = conditions.ask(batch.condition, model.data, len(batch), **asked)
        return _transformed(model, batch)
    if not isinstance(model, Samples) and not asked:
        batch = to_batch(dataset.batch(np.asarray(indices)))
        return reconstruct.reconstruct(model, batch.image, batch.condition)
    asked = {"options": quick(model)} | asked
    return generate.generate(model, list(indices), seed=3, bank=bank(dataset), **asked)


@torch.inference_mode()
def at_once(model: Model, dataset: Dataset, indices, condition: Condition | None = None) -> Tensor:
    """As `pictures`, made by the model itself in one batch; of a tokenizer, with the tokens beside the pixels."""
    indices = list(indices)
    if isinstance(model, Samples):
        rows = conditions.draw(bank(dataset), 3, indices) if condition is None else condition
        return model.sample(ImageRng(3, indices), rows, quick(model))
    batch = to_batch(dataset.batch(np.asarray(indices)))
    rows = batch.condition if condition is None else condition
    if isinstance(model, Transforms):
        return model.transform(batch.image if batch.source is None else batch.source, rows)
    made = model.decode(model.encode(batch.image, rows), rows).flatten(1)
    return torch.cat([made, model.tokenize(batch.image).flatten(1)], 1) if isinstance(model, Tokenizes) else made


def _transformed(model: Model, batch: Batch) -> Tensor:
    """What a model makes of each source of a batch, picture by picture as a user's are."""
    source = batch.image if batch.source is None else batch.source
    rows = range(len(source))
    return torch.cat([apply.apply(model, source[k : k + 1], batch.condition.rows(k, k + 1), apply.WHOLE) for k in rows])


def quick(model: Model, **values: Any) -> Any:
    """The options of sampling that a model has by default, but few steps where a diffusion model takes steps."""
    return generate.options_of(model, ({"steps": 8} if isinstance(model, Denoises) else {}) | values)


# --- the properties -------------------------------------------------------------------------------------------------


def same_seed_same_bits(name: str, dataset: Dataset) -> None:
    first, again = (weights(trained(name, dataset)) for _ in range(2))
    assert torch.equal(first, again), "two runs of one seed differ"
    assert not torch.equal(first, weights(trained(name, dataset, seed=1))), "other first weights, same result"
    assert not torch.equal(first, weights(trained(name, dataset, run_seed=1))), "another seed of the run, same result"


def alone_as_together(name: str, dataset: Dataset) -> None:
    """Eight at once are eight singly: within rounding whatever the batch, bit by bit through the tasks."""
    model = trained(name, dataset)
    together = at_once(model, dataset, range(8))
    singly = torch.cat([at_once(model, dataset, [k]) for k in range(8)])
    assert torch.allclose(together, singly, atol=1e-5), "an image depends on those made with it"
    if not isinstance(model, Samples):
        return
    of_64 = pictures(model, dataset, range(64))
    assert torch.equal(of_64[:7], pictures(model, dataset, range(7))), "7 images differ from the first 7 of 64"
    for index in (0, 5, 23, 63):
        assert torch.equal(of_64[index], pictures(model, dataset, [index])[0]), f"image {index} differs alone"
    assert torch.allclose(of_64[:8], together, atol=1e-5), "the task makes other images than the model"


def survives_saving(name: str, dataset: Dataset, folder: Path) -> None:
    """save -> load -> the same samples and reconstructions, bit by bit."""
    model = trained(name, dataset)
    bundle.save(bundle.Bundle(model, {"version": "test"}, bank(dataset), ""), folder)
    loaded = bundle.load(folder)
    before, after = (pictures(each, dataset, range(9)) for each in (model, loaded.model))
    assert torch.equal(before, after), "a loaded model samples otherwise than the saved one"
    assert loaded.model.config == model.config and loaded.model.data == model.data and loaded.model.name == model.name
    if isinstance(model, Encodes):
        batch = batch_of(dataset)
        before, after = (reconstruct.reconstruct(m, batch.image, batch.condition) for m in (model, loaded.model))
        assert torch.equal(before, after)


def resumes_as_never_stopped(name: str, dataset: Dataset, folder: Path) -> None:
    """Six steps in one go, and the last three again from nothing but the checkpoint of the third."""
    run(name, dataset, folder / "whole", steps=6, checkpoint_every="3", keep=9)
    back_to(folder / "whole", 3, folder / "parts")
    run(name, dataset, folder / "parts", steps=6)
    assert result(folder / "whole") == result(folder / "parts"), "a resumed run ends elsewhere"


def agrees_in_half_precision(name: str, dataset: Dataset) -> None:
    """One step in bf16 and channels_last has the losses of fp32, within what the choice of arithmetic tolerates."""
    batch, found = batch_of(dataset), []
    for arithmetic in (Arithmetic(), Arithmetic(bf16=True, channels_last=True)):
        found.append(precision.passed(build(name, dataset), batch, arithmetic, torch.device("cpu")))
    assert found[1] == pytest.approx(found[0], rel=precision.AGREE, abs=precision.AGREE), "bf16 has other losses"


def phases_keep_to_their_own(name: str, dataset: Dataset) -> None:
    """With the learning rates of all other phases at 0, a phase moves its own parameters and no others.

    A phase without parameters moves buffers.
    """
    phases = build(name, dataset).phases()
    for phase in phases:
        model = build(name, dataset)
        steps = stepper(model)
        for index in range(3):  # so that weights that are clipped are so already
            steps.step(batch_of(dataset, index), index, index * 8)
        for other in (other for other in phases if other != phase and phases[other]):
            steps.optimizers[other] = torch.optim.SGD(model.phases()[other], lr=0.0)
        before = {key: value.detach().clone() for key, value in [*model.named_parameters(), *model.named_buffers()]}
        for index in range(10, 20):
            steps.step(batch_of(dataset, index), index, index * 8)
        own = {id(parameter) for parameter in model.phases()[phase]}
        moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
        mine = {key for key, value in model.named_parameters() if id(value) in own}
        learned = moved if own else {key for key, value in model.named_buffers() if not torch.equal(value, before[key])}
        assert learned, f"phase {phase!r} moves nothing"
        assert moved <= mine, f"phase {phase!r} moves {sorted(moved - mine)}, which are not its own"


def phases_leave_no_stray_gradients(name: str, dataset: Dataset) -> None:
    """A phase's update touches the gradients of its own parameters alone."""
    model = build(name, dataset)
    steps, update = stepper(model), Stepping()
    steps._update = update.watched(model, steps._update)
    for index in range(5):
        steps.step(batch_of(dataset, index), index, index * 8)
    assert update.seen == set(model.phases()), "some phase never has a loss"


class Stepping:
    """Looks at gradients before and after each phase's update."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._after: dict[nn.Parameter, Tensor | None] = {}

    def watched(self, model: Model, update: Callable) -> Callable:
        def gradients(parameters) -> dict:
            return {p: None if p.grad is None else p.grad.clone() for p in parameters}

        def look(phase, losses, log, **how) -> None:
            own = set(model.phases()[phase])
            others = [parameter for parameter in model.parameters() if parameter not in own]
            self._same(self._after, gradients(model.parameters()), "between the phases")
            before = gradients(others)
            update(phase, losses, log, **how)
            self._same(before, gradients(others), f"by phase {phase!r}")
            self._after = gradients(model.parameters())
            self.seen.add(phase)

        return look

    def _same(self, before: dict, after: dict, when: str) -> None:
        for parameter, now in after.items():
            was = before.get(parameter)
            same = now is None if was is None else now is not None and torch.equal(was, now)
            assert same, f"a gradient of shape {tuple(parameter.shape)} was changed {when}"


def phases_own_everything(name: str, dataset: Dataset) -> None:
    model = build(name, dataset)
    owned = {id(parameter) for parameters in model.phases().values() for parameter in parameters}
    trained = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    lost = [key for key, parameter in trained.items() if id(parameter) not in owned]
    assert not lost, f"no phase trains {lost}"


def suggestions_are_read(name: str, dataset: Dataset) -> None:
    """What a model suggests to train with has the names that the loop reads."""
    model = build(name, dataset)
    suggested = model.training_defaults()
    assert set(suggested) <= DEFAULTS, f"nobody reads {sorted(set(suggested) - DEFAULTS)}"
    for phase, settings in suggested.get("phases", {}).items():
        assert phase in model.phases() and set(settings) <= PHASE_DEFAULTS, (phase, settings)


def learns_one_batch(name: str, dataset: Dataset, steps: int = 120) -> None:
    """A model of one phase can learn eight images by heart: its loss on them falls well."""
    # pixels drawn anew at each step cannot be known by heart
    parts, batch = {"width": 32, "binarize": "none"}, batch_of(few(dataset, 8))
    model = build(name, few(dataset, 8), **parts)
    # what learns in closed form has learned from the eight when it is prepared
    untaught = model if any(model.phases().values()) else models.build(name, tiny(name, **parts), dataset.spec)
    taking, before = stepper(model), _loss(untaught, batch)
    taking.set_lr(2.0)
    for index in range(steps):
        taking.step(batch, index, LATE)
    after = _loss(model, batch)
    # a Bernoulli likelihood cannot go below the entropy of grey pixels, which is most of its loss
    least = _entropy(batch.image) if getattr(model.config, "likelihood", None) == "bernoulli" else 0.0
    assert after < before - 0.2 * abs(before - least), f"the loss went from {before:.4g} to {after:.4g}"


def _entropy(image: Tensor) -> float:
    """Nats per image, of pixels that are on with the probability of their brightness."""
    on = (image.double() + 1) / 2
    return float(torch.special.entr(on).add(torch.special.entr(1 - on)).flatten(1).sum(1).mean())


def _loss(model: Model, batch) -> float:
    """The loss of one batch, always with the same noise."""
    model.eval()
    with torch.no_grad():
        loss = next(model.losses(batch, Step(0, LATE, StepRng(9, 0, start=0, stop=8, total=8))))
    model.train()
    return float(loss.value)


def hears_its_label(name: str, dataset: Dataset) -> None:
    """The same noise with another class, or other attributes, is another picture."""
    # gates that start at zero let nothing through at first
    model = trained(name, dataset, steps=30 if isinstance(build(name, dataset), Denoises) else 5)
    # near the mean: of full noise an untrained diffusion model makes what the range of pixels cuts off
    able = isinstance(model, Samples)
    options = quick(model, temperature=0.01) if isinstance(model, Denoises) else quick(model) if able else None
    first, second = dataset.spec.classes[:2]
    one, other, again = (
        pictures(model, dataset, range(4), label=label, options=options) for label in (first, second, first)
    )
    assert torch.equal(one, again)
    assert (one - other).abs().amax(dim=(1, 2, 3)).min() > 1e-6, "the class that was asked for changes nothing"
    for attribute in dataset.spec.attributes:
        values = attribute.values[:2] or (attribute.mean, attribute.mean + attribute.std)
        # asked for alone, for the class and the other attributes may settle what a picture shows
        one, other = (_alone(model, dataset, {attribute.name: value}, options) for value in values)
        assert (one - other).abs().max() > 1e-6, f"attribute {attribute.name!r} changes nothing"


def _alone(model: Model, dataset: Dataset, attributes: dict, options: Any) -> Tensor:
    """Eight pictures of which nothing but those attributes is asked."""
    if not isinstance(model, Transforms):
        return generate.generate(model, range(8), seed=3, bank=Condition(), attributes=attributes, options=options)
    batch = to_batch(dataset.batch(np.arange(8)))
    batch.condition = conditions.ask(Condition(), model.data, 8, attributes=attributes)
    return _transformed(model, batch)


def keeps_to_itself(name: str, dataset: Dataset) -> None:
    """A model that is not conditional refuses a label, and makes the same picture whatever condition it is handed."""
    model = trained(name, dataset, conditional="none")
    samples = isinstance(model, Samples)
    with pytest.raises(ConfigError if samples else NotAble, match="conditional=none" if samples else "cannot make"):
        pictures(model, dataset, range(4), label=dataset.spec.classes[0])
    told, untold = (at_once(model, dataset, range(8), rows) for rows in (None, Condition()))
    assert torch.equal(told, untold), "a model that is not conditional listens to the condition"


def refuses_unknown_settings(name: str) -> None:
    """A misspelt key is refused, and the one that was meant is named."""
    for field in fields(models.entry(name).load().Config):
        misspelt = field.name[:-1] + "qz"
        with pytest.raises(ConfigError, match="did you mean model."):
            models.configure(name, {misspelt: 1})
