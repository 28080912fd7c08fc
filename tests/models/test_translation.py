"""Translation without pairs: what is peculiar to its models, beside what the whole catalogue keeps."""

import pytest
import torch
from runs import back_to, batch_of, build, result, run, stepper, suited

from limner.errors import ConfigError
from limner.model import Step
from limner.models.contrastive_translation import drawn_places
from limner.models.stargan import _wrong, merged, picked
from limner.nn.past import Past
from limner.rng import StepRng
from limner.types import Condition


def test_places_are_drawn_without_repetition():
    rng = StepRng(0, 0, start=0, stop=6, total=6)
    for available, count in ((64, 64), (100, 16), (16, 64)):
        places = drawn_places(rng, available, count)
        assert places.shape == (6, min(count, available)) and places.min() >= 0 and places.max() < available
        assert all(len(set(row)) == len(row) for row in places.tolist()), "a place is drawn twice"
    assert len(set(drawn_places(rng, 4, 1).flatten().tolist())) > 1, "pictures share their places"


def test_places_of_a_part_are_those_of_the_whole_batch():
    whole, part = StepRng(3, 5, start=0, stop=8, total=8), StepRng(3, 5, start=4, stop=8, total=8)
    assert torch.equal(drawn_places(whole, 49, 9)[4:], drawn_places(part, 49, 9))


def shown(store, made, *, step=0, parts=1):
    """What a store gives for a batch of `step`, taken in parts."""
    size = len(made) // parts
    cuts = [(part * size, (part + 1) * size) for part in range(parts)]
    rngs = [StepRng(0, step, start=start, stop=stop, total=len(made)) for start, stop in cuts]
    return torch.cat([store.shown(made[start:stop], rng) for (start, stop), rng in zip(cuts, rngs, strict=True)])


def pictures(step, count=8):
    """(B, 1, 2, 2), no two alike in any step."""
    return (torch.arange(count) + count * step).float()[:, None, None, None].expand(-1, 1, 2, 2) + 1


def test_a_store_shows_past_pictures_half_of_the_time_once_it_is_full():
    store, past = Past(10, (1, 2, 2)), []
    for step in range(100):
        made = pictures(step)
        old = shown(store, made, step=step) != made
        past.append(old[:, 0, 0, 0].float().mean().item())
        assert store.pictures.max() <= made.max() and bool((store.pictures[store.taken] > 0).all())
    assert past[0] < 0.3 and bool(store.taken.all())
    assert sum(past[20:]) / 80 == pytest.approx(0.5, abs=0.06)  # three deviations of 640 coins


def test_a_store_that_shows_a_past_picture_keeps_the_new_one_for_later():
    store = Past(1, (1, 2, 2))
    new = torch.cat([pictures(step) for step in range(20)])
    given = torch.cat([shown(store, pictures(step), step=step) for step in range(20)])
    values, order = given[:, 0, 0, 0].tolist(), new[:, 0, 0, 0].tolist()
    # each made picture but those still stored is shown once; the first also as it is made
    assert sorted([*values, store.pictures[0, 0, 0, 0].item()]) == sorted([*order, order[0]])


def test_a_batch_taken_in_parts_is_shown_the_same_past():
    whole, parts = Past(3, (1, 2, 2)), Past(3, (1, 2, 2))
    for step in range(6):
        assert torch.equal(shown(whole, pictures(step), step=step), shown(parts, pictures(step), step=step, parts=4))
    assert torch.equal(whole.pictures, parts.pictures)


def test_nothing_is_stored_outside_training_or_without_places():
    for store in (Past(0, (1, 2, 2)), Past(4, (1, 2, 2)).eval()):
        assert torch.equal(shown(store, pictures(0)), pictures(0)) and not store.taken.any()


@pytest.mark.parametrize("name", ["cyclegan", "cut"])  # stargan asks for what the others of a part show
def test_a_batch_taken_in_parts_leaves_the_same_store(name, digits):
    """Within rounding, which Adam enlarges where normalisation leaves a gradient of nothing else."""
    data, stores = suited(name, digits), []
    for parts in (1, 4):
        model = build(name, data, past=6)
        taking = stepper(model, accumulate=parts)
        for index in range(3):
            taking.step(batch_of(data, index), index, index * 8)
        stores.append([module for module in model.modules() if isinstance(module, Past)])
    for whole, split in zip(*stores, strict=True):
        assert torch.equal(whole.taken, split.taken) and whole.taken.any()
        assert torch.allclose(whole.pictures, split.pictures, atol=5e-3)


def test_what_is_not_asked_for_stays_as_it_is(shapes):
    """Asked for everything at once in training, stargan had never heard "blue" alone, as users say it."""
    old = batch_of(shapes).condition
    new = picked(old, torch.arange(8).flip(0))
    change = torch.rand(8, 1 + len(shapes.spec.attributes), generator=torch.Generator().manual_seed(0)) < 0.5
    wanted, told = merged(change, new, old, shapes.spec), merged(change, new, Condition(), shapes.spec)
    assert torch.equal(wanted.label, torch.where(change[:, 0], new.label, old.label))
    assert torch.equal(told.label, torch.where(change[:, 0], new.label, -1))
    start = 0
    for column, attribute in enumerate(shapes.spec.attributes, start=1):
        columns, changed = slice(start, start + attribute.width), change[:, column]
        for row in range(8):
            source = new if changed[row] else old
            assert torch.equal(wanted.attributes[row, columns], source.attributes[row, columns])
            assert bool((told.known[row, columns] == changed[row]).all())
        start += attribute.width


def test_a_wrong_reading_costs_more_than_a_right_one():
    truth = {"categorical": [0.0, 1, 0], "binary": [-1.0], "multilabel": [1.0, -1], "continuous": [0.7]}
    for kind, values in truth.items():
        right = torch.tensor([values])
        assert (_wrong(5 * right if kind != "continuous" else right, right, kind) < 0.1).all()
        assert (_wrong(-5 * right, right, kind) > 2).all()


def test_stargan_learns_the_changes_that_it_is_told_to(shapes):
    model = build("stargan", shapes, changes=("colour",))
    assert model.learned == [False, *(each.name == "colour" for each in shapes.spec.attributes)]
    assert all(
        loss.value.isfinite()
        for loss in model.losses(batch_of(shapes), Step(0, 0, StepRng(0, 0, start=0, stop=8, total=8)))
    )
    with pytest.raises(ConfigError, match="did you mean colour"):
        build("stargan", shapes, changes=("color",))


@pytest.mark.parametrize("name", ["cyclegan", "cut", "stargan"])
def test_a_resumed_run_has_the_store_of_one_that_never_stopped(name, shapes, tmp_path):
    data = suited(name, shapes)
    run(name, data, tmp_path / "whole", config={"past": 4}, steps=6, checkpoint_every="3", keep=9)
    back_to(tmp_path / "whole", 3, tmp_path / "parts")
    run(name, data, tmp_path / "parts", config={"past": 4}, steps=6)
    assert result(tmp_path / "whole") == result(tmp_path / "parts")
