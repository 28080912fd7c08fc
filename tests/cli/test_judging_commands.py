"""`limner evaluate`, `compare` and `leaderboard` as they are typed."""

import html
import json
import re
import shlex
from pathlib import Path

import pytest
from commands import limner

FAST = ("--features", "none", "--no-floors", "-n", "40", "--metrics", "ndb")


def test_evaluate_prints_a_table_and_writes_a_page(run):
    outcome = limner("evaluate", run, *FAST)
    assert outcome.code == 0, outcome.err
    assert "NDB/K-pixels" in outcome.out and Path("evaluations/vae-1/report.html").is_file()
    again = limner("evaluate", run, *FAST, "--json")
    assert (
        again.json["report"] == "evaluations/vae-2/report.html"
        and again.json["numbers"][0]["protocol"]["split"] == "test"
    )


def test_the_page_says_how_to_measure_the_same_again(run):
    """With all that was asked for: without it the command would measure something else."""
    words = (*FAST[:-2], "--metrics", "ndb", "--set", "ndb_bins=20", "--sampling", "temperature=0.5")
    assert limner("evaluate", run, *words, "--weights", "raw", "--out", "once").code == 0
    page = Path("once/report.html").read_text(encoding="utf-8")
    (line,) = re.findall(r"limner evaluate [^<\n]*", html.unescape(page))
    again = limner(*shlex.split(line)[1:], "--out", "twice")
    assert again.code == 0, again.err
    first, second = (json.loads(Path(f"{out}/evaluation.json").read_text()) for out in ("once", "twice"))
    assert first["numbers"] == second["numbers"] and first["numbers"][0]["protocol"]["settings"]["bins"] == 20


def test_the_gate_and_a_limit_decide_the_exit_code(run):
    assert limner("evaluate", run, *FAST, "--limit", "NDB/K-pixels<=1").code == 0
    refused = limner("evaluate", run, *FAST, "--limit", "NDB/K-pixels<=-1")
    assert refused.code == 6 and "refused" in refused.out
    assert limner("evaluate", run, *FAST, "--gate").code == 6  # copying was not measured


def test_compare_refuses_what_was_measured_differently(run):
    for number in (1, 2):  # the second page does not take the place of the first
        assert limner("compare", run, run, "--against", "builtin:digits", *FAST).code == 0
        assert Path(f"evaluations/compare-{number}.html").is_file()
    limner("evaluate", run, *FAST, "--out", "a")
    limner("evaluate", run, *FAST[:-4], "-n", "50", "--metrics", "ndb", "--out", "b")
    outcome = limner("compare", "a/evaluation.json", "b/evaluation.json", "--against", "builtin:digits")
    assert outcome.code == 8 and "generated: 40 against 50" in outcome.err


def test_a_leaderboard_ranks_and_says_what_to_try_next(elsewhere):
    outcome = limner("leaderboard", "builtin:digits", "--models", "gmm,bernoulli-mixture", "--budget", "1s",
                     "--no-learned-floors", *FAST, "-q")  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert "gmm" in outcome.out and Path("leaderboards/digits-1/leaderboard.html").is_file()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--metrics", "fdd"), "did you mean fd"),
        (("--set", "importanc=3"), "importance"),
        (("--set", "x"), "no '='"),
        (("--metrics", "ndb", "--set", "ndb_bins=x", "--no-floors", "-n", "40"), "ndb_bins='x'"),
    ],
)
def test_bad_use_names_the_way_out(run, words, named):
    outcome = limner("evaluate", run, "--features", "none", *words)
    assert outcome.code == 2 and named in outcome.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("evaluate", "RUN", "--limit", "FD-Lite0<40"), "write NAME<=VALUE"),
        (("evaluate", "RUN", "--metrics", ""), "no metric is named"),
        (("evaluate", "RUN", "--resolution", "16"), "at its own size"),
        (("leaderboard", "builtin:digits", "--models", ""), "no model is named"),
        (("leaderboard", "builtin:digits", "--features", "lite1"), "lite1"),
    ],
)
def test_what_would_be_refused_in_the_end_is_refused_at_once(run, words, named):
    outcome = limner(*(run if word == "RUN" else word for word in words))
    assert outcome.code == 2 and named in outcome.err and "making" not in outcome.err
    assert not Path("evaluations").exists() and not Path("leaderboards").exists()


def test_a_table_is_not_cut_where_it_goes_to_a_file(run):
    limner("evaluate", run, *FAST, "--out", "a")
    record = json.loads(Path("a/evaluation.json").read_text())
    names = [f"{'a-rather-long-name-of-a-method-' * 2}{place}" for place in range(2)]
    for name in names:
        Path(name + ".json").write_text(json.dumps(record | {"subject": name}))
    outcome = limner("compare", *(name + ".json" for name in names), "--against", "builtin:digits")
    assert outcome.code == 0, outcome.err
    assert all(outcome.out.count(name) == 3 for name in names)  # the head of a column, and two differences
