"""Ctrl-C and SIGTERM: the step is finished, everything is saved, and the way to go on is told."""

import os
import random
import signal
import time

import pytest
from runs import fork, leftovers, result, run, trainer, wait

from limner.errors import Interrupted
from limner.training import checkpoint

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143}


def signalled(made, at, number, times=1):
    """Make a trainer's process get a signal in the middle of step `at`, once or more often."""
    step = made.stepper.step

    def stepping(batch, index, images, **how):
        if index == at:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return step(batch, index, images, **how)

    made.stepper.step = stepping
    return made


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("at", "workers"), [(0, 0), (6, 0), (11, 0), (4, 2)])
def test_a_signal_ends_the_run_after_the_step_with_everything_saved(number, at, workers, digits, tmp_path):
    settings = {"steps": 12, "checkpoint_every": "0"}
    before = signal.getsignal(number)
    made = signalled(trainer("toys:Toy", digits, tmp_path / "run", workers=workers, **settings), at, number)
    with pytest.raises(Interrupted, match=rf"at step {at + 1}, saved. To go on: limner train --resume .*run") as stop:
        made.run()
    assert stop.value.exit_code == SIGNALS[number] and signal.getsignal(number) is before
    newest, problems = checkpoint.newest_valid(tmp_path / "run" / "checkpoints")
    assert newest.name == f"{at + 1:08d}" and problems == []
    assert run("toys:Toy", digits, tmp_path / "run", **settings).step == 12
    run("toys:Toy", digits, tmp_path / "whole", **settings)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_the_process_at_once_and_harms_nothing(number, digits, tmp_path):
    settings = {"steps": 12, "checkpoint_every": "3"}
    child = fork(lambda: signalled(trainer("toys:Toy", digits, tmp_path / "run", **settings), 7, number, times=2).run())
    assert wait(child) == -number
    newest, _ = checkpoint.newest_valid(tmp_path / "run" / "checkpoints")
    assert newest.name == "00000006"
    run("toys:Toy", digits, tmp_path / "run", **settings)
    run("toys:Toy", digits, tmp_path / "whole", **settings)
    assert result(tmp_path / "run") == result(tmp_path / "whole") and leftovers(tmp_path / "run") == []


def test_a_signal_during_the_first_save_is_not_lost(digits, tmp_path):
    made = trainer("toys:Toy", digits, tmp_path, steps=5)
    save = made._save

    def saving(**given):
        os.kill(os.getpid(), signal.SIGTERM)
        save(**given)

    made._save = saving
    with pytest.raises(Interrupted, match="stopped at step 0, saved"):
        made.run()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_the_end_is_saved_finishes_that_and_stops_what_would_follow(number, digits, tmp_path):
    """A leaderboard or the second stage of a run must not begin after Ctrl-C."""
    made = trainer("toys:Toy", digits, tmp_path / "run", steps=5)
    finish = made._finish

    def finishing(log):
        os.kill(os.getpid(), number)
        finish(log)

    made._finish = finishing
    with pytest.raises(Interrupted, match="stopped; .*run was at its end, and is saved") as stop:
        made.run()
    assert stop.value.exit_code == SIGNALS[number] and (tmp_path / "run" / "model").is_dir()
    run("toys:Toy", digits, tmp_path / "whole", steps=5)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


@pytest.mark.parametrize("signals", [8, pytest.param(50, marks=pytest.mark.heavy)])
def test_at_any_moment_a_signal_saves_and_tells_its_code_soon(signals, digits, tmp_path):
    """Also during a save, and between two runs of the loop over the data."""
    random_, path = random.Random(0), tmp_path / "run"
    settings = {"steps": 100_000, "checkpoint_every": "7", "keep": 1}
    last = -1
    for _ in range(signals):
        number = random_.choice(list(SIGNALS))
        ready, tell = os.pipe()

        def work(tell=tell):
            made = trainer("toys:Toy", digits, path, **settings)
            made.show.start = lambda headline: os.write(tell, b"!")
            made.run()

        child = fork(work)
        assert os.read(ready, 1) == b"!"
        os.close(ready), os.close(tell)
        time.sleep(random_.uniform(0, 0.1))
        os.kill(child, number)
        start = time.perf_counter()
        assert wait(child) == SIGNALS[number]
        assert time.perf_counter() - start < 5
        newest, problems = checkpoint.newest_valid(path / "checkpoints")
        assert int(newest.name) >= last and problems == [] and leftovers(path) == []
        last = int(newest.name)
