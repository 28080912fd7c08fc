"""The log of a run: one JSON line at a time, never the same step twice after a resume, never half a line on reading."""

import json

from runs import run

from limner.training.log import RunLog, read


def write(path, steps, after=0):
    log = RunLog(path, after_step=after, tensorboard=False)
    for step in steps:
        log.write(step, {"loss": step / 2})
    log.close()


def test_lines_come_back_as_they_were_written(tmp_path):
    write(tmp_path / "log.jsonl", [1, 2])
    assert read(tmp_path / "log.jsonl") == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 1.0}]
    assert read(tmp_path / "nothing.jsonl") == []


def test_a_resumed_log_forgets_what_came_after_the_checkpoint(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, range(1, 8))
    write(path, [6, 7, 8], after=5)
    assert [line["step"] for line in read(path)] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_half_a_line_and_lines_of_nonsense_are_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, [1, 2])
    with path.open("ab") as file:
        file.write(b'[1]\n\xff\xfe\nnull\n{"step": 3, "lo')
    assert [line["step"] for line in read(path)] == [1, 2]
    write(path, [3], after=2)
    assert [line["step"] for line in read(path)] == [1, 2, 3]


def test_every_line_is_strict_json_whatever_the_numbers_are(tmp_path):
    log = RunLog(tmp_path / "log.jsonl", after_step=0, tensorboard=False)
    log.write(1, {"nan": float("nan"), "inf": float("inf"), "fine": 0.5, "count": 3})
    log.close()

    def refuse(name):
        raise AssertionError(name)

    line = json.loads((tmp_path / "log.jsonl").read_text(), parse_constant=refuse)
    assert line == {"step": 1, "nan": None, "inf": None, "fine": 0.5, "count": 3}


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path):
    log = RunLog(tmp_path / "log.jsonl", after_step=0, tensorboard=False)
    log.write(1, {})
    assert len(read(tmp_path / "log.jsonl")) == 1
    log.close()


def test_a_run_logs_losses_gradients_and_speed_up_to_its_last_step(digits, tmp_path):
    run("gan", digits, tmp_path, steps=4)
    last = read(tmp_path / "log.jsonl")[-1]
    assert (last["step"], last["images"]) == (4, 32) and last["images_per_second"] > 0
    assert {"generator/loss", "discriminator/loss", "generator/gradient_norm", "discriminator/real"} <= last.keys()


def test_tensorboard_gets_the_same_numbers(digits, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run("toys:Toy", digits, tmp_path, steps=4, tensorboard=True)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (scalar,) = events.Scalars("model/loss")
    line = read(tmp_path / "log.jsonl")[-1]
    assert scalar.step == 4 and abs(scalar.value - line["model/loss"]) < 1e-6 and events.Tags()["images"]
