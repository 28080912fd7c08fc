"""A bench runs to its end against the Limner at hand; the rest of them use the same parts."""

import json
import subprocess
import sys


def test_a_quick_bench_ends_with_figures(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "loop_overhead", "--quick", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (bench,) = json.loads(out.read_text("utf-8"))["benches"]
    assert len(bench["figures"]) == 3
    assert all(timing["best"] > 0 for figure in bench["figures"] for timing in figure["timings"])
