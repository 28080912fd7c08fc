"""Whenever a run is killed and whatever the disk refuses: no saved checkpoint is lost, and the end is the same."""

import errno
import functools
import os
import random
import signal
import time

import pytest
from runs import fork, leftovers, result, run, trainer, wait

from limner import durable
from limner.errors import DiskError
from limner.training import checkpoint, inference

FAMILIES = ["gan", "vae", "ae", "toys:Toy"]
HEAVY = pytest.mark.heavy
EVERY = [pytest.param(name, 1, marks=HEAVY) for name in FAMILIES]
ERRNOS = [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES]


@pytest.fixture(autouse=True)
def quick_density(monkeypatch):
    monkeypatch.setattr(inference, "FIT_IMAGES", 16)
    monkeypatch.setattr(inference, "FIT_IMAGES_FINAL", 16)


def acknowledging(made, tell):
    """Make a trainer write the step of every checkpoint to a pipe as soon as it counts as saved."""
    save = made._save

    def saving(**given):
        save(**given)
        if made._saved == made.step:
            os.write(tell, made.step.to_bytes(4, "big"))

    made._save = saving
    return made


def acknowledged(hear):
    """The last step that was told, -1 for none."""
    told = b""
    while part := os.read(hear, 65536):
        told += part
    return int.from_bytes(told[-4:], "big") if told else -1


def newest(path):
    """The step of the newest whole checkpoint of a run, -1 for none."""
    found, problems = checkpoint.newest_valid(path / "checkpoints")
    assert problems == [], "a checkpoint was torn"
    return int(found.name) if found else -1


# --- kill -9 ----------------------------------------------------------------------------------------------------------


def killed(make_trainer, seconds):
    """Train in a child and kill it after `seconds`; returns (its exit code, the last step it had saved for sure)."""
    hear, tell = os.pipe()
    child = fork(lambda: acknowledging(make_trainer(), tell).run())
    os.close(tell)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    code = wait(child)
    with os.fdopen(hear, "rb") as pipe:
        return code, acknowledged(pipe.fileno())


@pytest.mark.parametrize("kills", [20, pytest.param(300, marks=HEAVY)])
def test_killed_at_any_moment_nothing_is_lost_and_the_end_is_the_same(kills, digits, unseen_digits, tmp_path):
    random_, done, finished = random.Random(0), 0, 0
    settings = {"steps": 20, "checkpoint_every": "5", "keep": 2, "validation": unseen_digits}

    @functools.cache
    def unbroken(name):
        """What such a run ends with, and its seconds."""
        start = time.perf_counter()
        assert wait(fork(lambda: run(name, digits, tmp_path / name, **settings))) == 0
        return result(tmp_path / name), time.perf_counter() - start

    while done < kills or not finished:
        name, workers = random_.choice(FAMILIES), random_.choice([0, 0, 0, 2])
        (end, seconds), path, last, code = unbroken(name), tmp_path / f"{finished}", -1, 1
        make = functools.partial(trainer, name, digits, path, workers=workers, **settings)
        while code:
            code, saved = killed(make, random_.uniform(0, 1.2 * seconds))
            assert code in (0, -signal.SIGKILL)
            done, last = done + (code != 0), max(last, saved)
            assert newest(path) >= last, "an acknowledged checkpoint was lost"
        assert result(path) == end, f"{name} with {workers} workers ended elsewhere"
        assert leftovers(path) == []
        finished += 1
    print(f"{done} kills, {finished} runs finished")


# --- a crash, or an error, at every operation -----------------------------------------------------------------------

SHORT = {"steps": 2, "checkpoint_every": "1", "keep": 1}


def at_operation(number, act):
    """A stand-in for durable._operate that acts at operation `number` and counts them all."""

    def operate(name, path):
        operate.count += 1
        if operate.count == number:
            act(name, path)

    operate.count = 0
    return operate


def crash(name, path):
    os._exit(9)


def crash_half_written(name, path):
    if name == "fsync" and path.is_file():
        os.truncate(path, path.stat().st_size // 2)
    os._exit(9)


def operations(name, dataset, path, validation, monkeypatch):
    """How many durable operations a short run takes, in the order that it takes them."""
    names = []
    monkeypatch.setattr(durable, "_operate", lambda name, path: names.append(name))
    run(name, dataset, path, validation=validation, **SHORT)
    monkeypatch.setattr(durable, "_operate", lambda name, path: None)
    return names


@pytest.mark.parametrize("act", [crash, crash_half_written])
@pytest.mark.parametrize(
    ("name", "every"), [("toys:Toy", 3), *(pytest.param(name, 1, marks=HEAVY) for name in FAMILIES)]
)
def test_a_crash_at_any_durable_operation_loses_nothing(name, every, act, digits, unseen_digits, tmp_path, monkeypatch):
    """In saving, pruning, and publishing the best and the final model; half-written: the file being synced is torn."""
    names = operations(name, digits, tmp_path / "whole", unseen_digits, monkeypatch)
    assert {"write", "fsync", "rename", "remove", "mkdir"} == set(names)
    end = result(tmp_path / "whole")
    numbers = [n for n, operation in enumerate(names, start=1) if act is crash or operation == "fsync"]
    for number in numbers[::every]:
        path = tmp_path / str(number)
        hear, tell = os.pipe()

        def work(number=number, path=path, tell=tell):
            durable._operate = at_operation(number, act)
            acknowledging(trainer(name, digits, path, validation=unseen_digits, **SHORT), tell).run()

        child = fork(work)
        os.close(tell)
        assert wait(child) == 9
        with os.fdopen(hear, "rb") as pipe:
            assert newest(path) >= acknowledged(pipe.fileno())
        run(name, digits, path, validation=unseen_digits, **SHORT)
        assert result(path) == end and leftovers(path) == []
        for published in ("best", "model"):  # players have no best
            assert (path / published).exists() == (tmp_path / "whole" / published).exists()
            assert not (path / published).exists() or durable.verify(path / published)


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=HEAVY)])
def test_an_error_at_any_durable_operation_is_told_or_recovered_from(
    every, digits, unseen_digits, tmp_path, monkeypatch
):
    """Each operation with each error (by default one pair in eleven): no false success, old checkpoints intact."""
    names = operations("toys:Toy", digits, tmp_path / "whole", unseen_digits, monkeypatch)
    end, told = result(tmp_path / "whole"), 0
    pairs = [(number, which) for which in ERRNOS for number in range(1, len(names) + 1)]
    for number, which in pairs[::every]:
        path = tmp_path / f"{number}-{which}"

        def refuse(name, where, which=which):
            raise OSError(which, "injected")

        made = trainer("toys:Toy", digits, path, validation=unseen_digits, **SHORT)
        monkeypatch.setattr(durable, "_operate", at_operation(number, refuse))
        try:
            made.run()
        except DiskError as error:
            told += 1
            assert error.errno == which and "cannot write" in str(error)
        else:
            assert result(path) == end, "a run that said it succeeded did not"
        monkeypatch.setattr(durable, "_operate", lambda name, path: None)
        assert newest(path) >= (made._saved if made._saved > 0 else -1)
        run("toys:Toy", digits, path, validation=unseen_digits, **SHORT)
        assert result(path) == end and leftovers(path) == []
    assert 0 < told < len(pairs)


# --- a disk that stays full -------------------------------------------------------------------------------------------


def test_a_full_disk_is_forgiven_twice_and_ends_the_run_the_third_time(digits, tmp_path, monkeypatch):
    made = trainer("toys:Toy", digits, tmp_path, steps=50, checkpoint_every="5", keep=3)
    notices = []
    made.show.notice = notices.append
    save = made._save

    def saving(**given):
        if made.step == 20:
            monkeypatch.setattr(durable, "_operate", lambda name, path: full())
        save(**given)

    made._save = saving
    with pytest.raises(DiskError, match="No space left on device; free some space") as caught:
        made.run()
    assert caught.value.exit_code == 74 and made.step == 30
    assert [text.split(" not saved")[0] for text in notices] == [f"checkpoint of step {step}" for step in (20, 25)]
    assert newest(tmp_path) == 15
    monkeypatch.setattr(durable, "_operate", lambda name, path: None)
    run("toys:Toy", digits, tmp_path, steps=50, checkpoint_every="5", keep=3)
    run("toys:Toy", digits, tmp_path / "whole", steps=50)
    assert result(tmp_path) == result(tmp_path / "whole")


def full():
    raise OSError(errno.ENOSPC, "injected")


def test_a_disk_that_takes_nothing_is_noticed_before_the_first_step(digits, tmp_path, monkeypatch):
    made = trainer("toys:Toy", digits, tmp_path, steps=50)
    monkeypatch.setattr(durable, "_operate", lambda name, path: full())
    with pytest.raises(DiskError):
        made.run()
    assert made.step == 0


def test_a_log_or_preview_that_cannot_be_written_does_not_end_the_run(digits, tmp_path, monkeypatch):
    made = trainer("toys:Toy", digits, tmp_path, steps=10, preview_every="4")
    notices = []
    made.show.notice = notices.append
    monkeypatch.setattr("limner.training.loop.RunLog.write", lambda log, step, values: full())
    monkeypatch.setattr("limner.training.previews.write", lambda picture, folder, step: full())
    made.run()
    assert made.step == 10 and {text.split(" of step")[0] for text in notices} == {"log", "preview"}


@pytest.mark.parametrize("kind", ["file", "dangling link", "under a file"])
def test_a_run_folder_that_cannot_be_is_refused_before_the_first_step(kind, digits, tmp_path):
    path = tmp_path / "run"
    match kind:
        case "file":
            path.write_bytes(b"")
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case _:
            (tmp_path / "file").write_bytes(b"")
            path = tmp_path / "file" / "run"
    with pytest.raises(DiskError, match="cannot write"):
        run("toys:Toy", digits, path, steps=1)
