"""The demonstration, as far as seconds allow; `.ci/run` makes it whole."""

import limner
from limner import demo


def test_an_interrupted_demonstration_goes_on_with_the_runs_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setitem(demo.SETTINGS, "vae", {"width": 8, "latent": 4})
    first = demo._train("vae", tmp_path, 1.0)
    again = demo._train("vae", tmp_path, 1.0)
    assert again.sha256 == first.sha256 and again.about["steps"] == first.about["steps"] > 0


def test_a_finished_demonstration_is_not_written_over(tmp_path, capsys):
    (tmp_path / "index.html").write_text("a page")
    assert demo.main(["--out", str(tmp_path)]) == limner.errors.ConfigError.exit_code
    assert "holds an earlier demonstration" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "a page"
