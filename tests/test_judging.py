"""From a run or a folder of pictures to numbers, pages and rankings."""

import re
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from runs import tiny

import limner
from limner import contest, judging
from limner.errors import ConfigError, DataError, UnlikeProtocols
from limner.evaluation import sides
from limner.evaluation.evaluate import Evaluation

TINY = {"width": 8, "latent": 4}
FAST = {"features": "none", "floors": False, "n": 40}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a small VAE on digits."""
    path = tmp_path_factory.mktemp("judged") / "vae"
    limner.train(
        "vae", "builtin:digits", out=path, config=TINY, steps=3, precision="fp32", preview_every="0", tensorboard=False
    )
    return path


def names(evaluation):
    return [number.name for number in evaluation.numbers]


def test_a_run_is_judged_against_the_data_it_was_trained_on_by_default(run, tmp_path):
    found = limner.evaluate(run, out=tmp_path / "page", metrics=["likelihood", "memorisation"], **FAST)
    assert found.about["data"] == "builtin:digits" and found.about["split"] == "test"
    assert any(name.startswith("NLL bound") for name in names(found))
    assert any("copied share" in name for name in names(found)), found.skipped
    assert Evaluation.load(tmp_path / "page" / "evaluation.json") == found
    assert "<html" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["gan", "flow-mlp", "edm", "latent-flow", "token-lm", "realnvp", "made", "rbm", "gmm"])
def test_what_is_measured_by_default_can_be_measured_of_every_family(name, tmp_path):
    settings = {"steps": 2, "precision": "fp32", "preview_every": "0", "tensorboard": False}
    limner.train(name, "builtin:digits", out=tmp_path / "run", config=asdict(tiny(name)), **settings)
    found = limner.evaluate(tmp_path / "run", **{**FAST, "n": 24})
    assert len(found.numbers) > 3
    assert [why for _, why in found.skipped if re.match(r"\w+: ", why)] == []  # an error is told by its kind


def test_the_same_seed_gives_the_same_numbers(run):
    first, again = (limner.evaluate(run, metrics=["ndb"], seed=3, **FAST).numbers for _ in range(2))
    assert first == again
    assert first != limner.evaluate(run, metrics=["ndb"], seed=4, **FAST).numbers


def test_kid_stands_between_its_floors(run):
    found = limner.evaluate(run, metrics=["kid"], n=40)
    real, noise = (found.floors[name][0].value for name in ("real", "noise"))
    assert found.number("KID-Lite0").protocol.features == "Lite0" and real < noise
    with pytest.raises(KeyError):
        found.number("FID")


def test_any_folder_of_pictures_can_be_judged(run, tmp_path):
    limner.load(run).sample(40, seed=1).save(tmp_path / "theirs")
    found = limner.evaluate(tmp_path / "theirs", "builtin:digits", metrics=["ndb", "likelihood"], **FAST)
    assert found.numbers[0].protocol.generated == 40
    assert found.skipped[0][0] == "likelihood" and "folder" in found.skipped[0][1]
    with pytest.raises(ConfigError, match="name real images"):
        limner.evaluate(tmp_path / "theirs")


def test_its_own_data_are_known_again_however_they_are_read(run, tmp_path):
    """A model folder says nothing of how its images were read; a folder beside it sets the size for both."""
    wanted = {"metrics": ["memorisation", "ndb"], **FAST}
    found = limner.evaluate(run / "model", "builtin:digits", **wanted)
    assert any("copied share" in name for name in names(found)), found.skipped
    limner.load(run).sample(40, seed=1).save(tmp_path / "theirs")
    compared, _ = limner.compare([run, tmp_path / "theirs"], "builtin:digits", **wanted)
    assert [len(each.numbers) > 3 for each in compared] == [True, True]


def test_a_model_of_other_data_is_not_accused_of_copying_these(run, tmp_path):
    for place in range(30):
        (tmp_path / "other").mkdir(exist_ok=True)
        pixels = np.random.default_rng(place).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "other" / f"{place}.png")
    with pytest.raises(ConfigError, match="memorisation: the training images are not known"):
        limner.evaluate(run, tmp_path / "other", metrics=["memorisation"], **FAST)
    found = limner.evaluate(run, tmp_path / "other", metrics=["memorisation", "ndb"], **FAST)
    assert "trained on" in found.about and found.skipped[0][0] == "memorisation"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"metrics": ["kidd"]}, "did you mean kid"),
        ({"n": 1}, "n=1"),
        ({"split": "tset"}, "split='tset'"),
        ({"features": "lite1"}, "did you mean lite0"),
        ({"options": {"importanc": 3}}, "did you mean importance"),
        ({"sampling": {"temperatur": 3}}, "temperature"),
        ({"nn": 3}, "evaluate.nn"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_before_anything_is_measured(run, wrong, named):
    with pytest.raises(ConfigError, match=named):
        limner.evaluate(run, **({"metrics": ["ndb"]} | FAST | wrong))


def test_a_setting_for_the_other_kind_of_subject_is_refused(run, tmp_path):
    limner.load(run).sample(4, seed=1).save(tmp_path)
    with pytest.raises(ConfigError, match="judged at its own size"):
        limner.evaluate(run, data_config={"resolution": 16}, metrics=["ndb"], **FAST)
    with pytest.raises(ConfigError, match="weights=raw is for runs"):
        limner.evaluate(tmp_path, "builtin:digits", weights="raw", metrics=["ndb"], **FAST)


def test_an_evaluation_without_a_number_is_none(run, tmp_path):
    limner.load(run).sample(4, seed=1).save(tmp_path)
    with pytest.raises(ConfigError, match="none of the metrics asked for can be measured .*likelihood: .*folder"):
        limner.evaluate(tmp_path, "builtin:digits", metrics=["likelihood"], **FAST)


def test_unknown_features_are_refused_before_a_picture_is_made(run, monkeypatch):
    monkeypatch.setattr(sides, "sampled", None)
    with pytest.raises(ConfigError, match="lite1"):
        limner.evaluate(run, **FAST | {"features": "lite1"})
    monkeypatch.setattr(contest.api, "train", None)
    with pytest.raises(ConfigError, match="lite1"):
        contest.leaderboard("builtin:digits", out="nowhere", models=["vae", "gan"], features="lite1")


def test_the_gate_says_again_why_copying_was_not_measured(run):
    found = limner.evaluate(run, "builtin:shapes?n=400", metrics=["ndb", "memorisation"], **FAST)
    (why,) = [reason for name, reason in found.skipped if name == "memorisation"]
    assert why in judging.gate(found).refused[0]


def test_a_split_that_is_not_there_is_refused(run):
    with pytest.raises(DataError, match="no split 'val'"):
        limner.evaluate(run, split="val", metrics=["ndb"], **FAST)


def test_unlike_evaluations_are_not_compared(run):
    one = limner.evaluate(run, metrics=["ndb"], **FAST)
    other = limner.evaluate(run, metrics=["ndb"], **(FAST | {"n": 50}))
    with pytest.raises(UnlikeProtocols, match="generated: 40 against 50"):
        limner.compare([one, other], "builtin:digits")
    with pytest.raises(ConfigError, match="two or more"):
        limner.compare([one], "builtin:digits")


def test_evaluations_made_before_are_compared_as_they_are(run, tmp_path):
    limner.evaluate(run, out=tmp_path / "a", metrics=["ndb"], **FAST)
    evaluations, differences = limner.compare(
        [str(tmp_path / "a" / "evaluation.json"), run], "builtin:digits", metrics=["ndb"], **FAST
    )
    assert len(evaluations) == 2 and all(difference.value == 0 for difference in differences)


def test_the_gate_asks_for_what_it_needs(run):
    found = limner.evaluate(run, metrics=["ndb"], **FAST)
    assert not judging.gate(found).may_export and "memorisation" in judging.gate(found).refused[0]
    assert judging.gate(found, ["NDB/K-pixels<=1"], copying=False).may_export
    assert not judging.gate(found, ["NDB/K-pixels<=-1"], copying=False).may_export


def test_training_keeps_the_model_that_the_metric_likes_best(tmp_path):
    trained = limner.train(
        "vae",
        "builtin:digits",
        out=tmp_path / "run",
        config=TINY,
        steps=6,
        precision="fp32",
        preview_every="0",
        tensorboard=False,
        evaluate_every="3",
        evaluate_metric="kid",
        evaluate_images=24,
    )
    assert (tmp_path / "run" / "best").is_dir() and trained.about["weights"] in ("raw", "ema_short", "ema_long")
    log = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8")
    assert log.count('"evaluation/kid":') == 2 and '"evaluation/kid/raw"' in log


@pytest.mark.parametrize(("splits", "used"), [(("train", "test"), "train"), (("train", "val", "test"), "val")])
def test_the_test_split_never_picks_a_model(splits, used, tmp_path, monkeypatch):
    for split in splits:
        (tmp_path / "data" / split).mkdir(parents=True)
        for place in range(24):
            pixels = np.random.default_rng([place, len(split)]).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / split / f"{place}.png")
    seen, reference = [], sides.reference

    def watched(*given, split, **more):
        seen.append(split)
        return reference(*given, split=split, **more)

    monkeypatch.setattr(sides, "reference", watched)
    limner.train(
        "vae",
        tmp_path / "data",
        out=tmp_path / "run",
        config=TINY,
        steps=2,
        precision="fp32",
        preview_every="0",
        tensorboard=False,
        evaluate_every="2",
        evaluate_metric="ndb",
        evaluate_images=24,
    )
    assert seen == [used]


# --- leaderboards ---------------------------------------------------------------------------------------------------


def board(out, names, **more):
    return limner.leaderboard(
        "builtin:digits",
        out=out,
        budget="1s",
        models=names,
        learned_floors=False,
        training={"precision": "fp32", "tensorboard": False},
        metrics=["ndb"],
        **FAST,
        **more,
    )


def test_models_are_trained_judged_and_ranked_and_failures_are_shown(tmp_path):
    found = board(tmp_path / "board", ["gmm", "bernoulli-mixture"])
    assert found.rank_by == "NDB/K-pixels" and len(found.entries) == 2
    values = [entry.evaluation.number(found.rank_by).value for entry in found.entries]
    assert values == sorted(values)
    page = (tmp_path / "board" / "leaderboard.html").read_text(encoding="utf-8")
    assert "gmm" in page and (tmp_path / "board" / "gmm" / "report.html").is_file()
    again = board(tmp_path / "board", ["gmm", "bernoulli-mixture"])  # goes on with what is there
    assert [entry.name for entry in again.entries] == [entry.name for entry in found.entries]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"budget": "1h"}, "train.budget='1s', and '1h' is asked for"),
        ({"data": "builtin:shapes"}, "data.path='builtin:digits'"),
        ({"seed": 3}, "train.seed=0"),
        ({"data_config": {"resolution": "16"}}, "data.resolution"),
    ],
)
def test_runs_that_are_there_are_not_ranked_as_if_they_had_been_trained_so(other, named, tmp_path):
    asked = {"budget": "1s", "data": "builtin:digits", **other}
    settings = {"models": ["gmm", "bernoulli-mixture"], "learned_floors": False, "metrics": ["ndb"], **FAST}
    data = asked.pop("data")
    limner.train("gmm", "builtin:digits", out=tmp_path / "board" / "gmm", budget="1s", tensorboard=False)
    with pytest.raises(ConfigError, match=re.escape(named)):
        limner.leaderboard(data, out=tmp_path / "board", **{**settings, **asked})
    assert not (tmp_path / "board" / "bernoulli-mixture").exists()


def test_several_seeds_of_each_are_one_entry_with_an_interval_over_them(tmp_path):
    found = board(tmp_path / "board", ["gmm", "bernoulli-mixture"], seeds=2)
    assert found.seeds == 2 and (tmp_path / "board" / "gmm-seed1" / "report.html").is_file()
    number = found.entries[0].evaluation.number(found.rank_by)
    assert len(number.details["runs"]) == 2 and "over 2 seeds" in number.interval.method
    assert "2 seeds" in (tmp_path / "board" / "leaderboard.html").read_text(encoding="utf-8")
    runs = ",".join(str(tmp_path / "board" / f"gmm{ending}") for ending in ("", "-seed1"))
    other = str(tmp_path / "board" / "bernoulli-mixture")
    both, _ = limner.compare([runs, other], "builtin:digits", metrics=["ndb"], **FAST)
    assert both[0].number(found.rank_by).details["runs"] == next(
        entry.evaluation.number(found.rank_by).details["runs"] for entry in found.entries if entry.name == "gmm"
    )
    with pytest.raises(ConfigError, match="seeds=0"):
        board(tmp_path / "none", ["gmm", "rbm"], seeds=0)


def test_a_model_that_fails_is_listed_with_the_reason(tmp_path, monkeypatch):
    train = contest.api.train

    def failing(name, *rest, **more):
        if name == "rbm":
            raise ConfigError("no room for it")
        return train(name, *rest, **more)

    monkeypatch.setattr(contest.api, "train", failing)
    found = board(tmp_path / "board", ["gmm", "rbm"])
    assert [(entry.name, entry.failure) for entry in found.entries] == [("gmm", ""), ("rbm", "no room for it")]


@pytest.mark.parametrize(("models", "named"), [(["gmm"], "two or more"), (["gmm", "gmn"], "did you mean gmm")])
def test_a_leaderboard_that_ranks_nothing_is_refused(models, named, tmp_path):
    with pytest.raises(ConfigError, match=named):
        board(tmp_path / "board", models)
