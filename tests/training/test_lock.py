"""One run per folder: of two that want it exactly one gets it, and it is free as soon as its holder is gone."""

import os
import signal
import time

import pytest
from runs import fork, run, trainer, wait

from limner import durable
from limner.errors import RunLocked

HEAVY = pytest.mark.heavy


def next_to_end(children, seconds=60):
    """{process id: exit code} of whichever child ends first; empty when none does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in children:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return {child: os.waitstatus_to_exitcode(status)}
        time.sleep(0.001)
    return {}


@pytest.mark.parametrize("races", [10, pytest.param(200, marks=HEAVY)])
def test_of_two_processes_exactly_one_gets_the_folder(races, digits, tmp_path):
    for race in range(races):
        wait_for, start = os.pipe()
        done, finish = os.pipe()

        def work(path=tmp_path / str(race), wait_for=wait_for, done=done):
            made = trainer("toys:Toy", digits, path, steps=2)
            made.show.start = lambda headline: os.read(done, 1)  # hold the folder until the other has tried
            os.read(wait_for, 1)
            made.run()

        children = [fork(work), fork(work)]
        os.write(start, b"!!")
        codes = next_to_end(children)
        os.write(finish, b"!!")
        codes |= {child: wait(child) for child in children if child not in codes}
        assert sorted(codes.values()) == [0, RunLocked.exit_code]
        for end in (wait_for, start, done, finish):
            os.close(end)


def test_the_second_is_told_who_has_the_folder(digits, tmp_path):
    (tmp_path / "run").mkdir()
    with durable.lock(tmp_path / "run" / ".lock", "process 4711"):
        with pytest.raises(RunLocked, match=r"run is in use by process 4711"):
            run("toys:Toy", digits, tmp_path / "run", steps=1)
    assert run("toys:Toy", digits, tmp_path / "run", steps=1).step == 1


def test_nothing_is_written_before_the_folder_is_ones_own(digits, tmp_path):
    (tmp_path / "run").mkdir()
    asked = []
    with durable.lock(tmp_path / "run" / ".lock", "another"), pytest.raises(RunLocked):
        trainer("toys:Toy", digits, tmp_path / "run", steps=1).run(on_locked=lambda: asked.append(1))
    assert not asked and os.listdir(tmp_path / "run") == [".lock"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_runs_folder_is_free_at_once_with_its_data_workers_still_alive(workers, digits, tmp_path):
    running, tell = os.pipe()

    def work():
        made = trainer("toys:Toy", digits, tmp_path, steps=100_000, workers=workers, checkpoint_every="0")
        step = made.stepper.step

        def stepping(batch, index, images, **how):
            if index == 3:
                os.write(tell, b"!")
            return step(batch, index, images, **how)

        made.stepper.step = stepping
        made.run()

    child = fork(work)
    os.read(running, 1)
    os.kill(child, signal.SIGKILL)
    assert wait(child) == -signal.SIGKILL
    start = time.perf_counter()
    with durable.lock(tmp_path / ".lock", "the next"):
        assert time.perf_counter() - start < 1  # the workers live on for up to five
