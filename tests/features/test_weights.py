"""Weights made elsewhere: what is read, what is refused, and where a published file is kept."""

import hashlib
import pickle

import pytest
import torch
from safetensors.torch import save_file

from limner import fetch
from limner.errors import ConfigError, DiskError, LimnerError, ModelError
from limner.features import weights

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(2)}


@pytest.fixture
def state_dict(tmp_path):
    torch.save(STATE, tmp_path / "state.pth")
    return tmp_path / "state.pth"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_kinds_of_file_are_read_and_hashed(tmp_path, suffix):
    path = tmp_path / f"state{suffix}"
    torch.save(STATE, path) if suffix == ".pth" else save_file(STATE, path)
    found = weights.load(path)
    assert all(torch.equal(found.tensors[name], part) for name, part in STATE.items()) and len(found.tensors) == 2
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_pinned_file_is_not_opened_before_its_hash_is_right(state_dict, monkeypatch):
    monkeypatch.setattr(weights, "_read", lambda path: pytest.fail("it was opened"))
    with pytest.raises(ModelError, match="has the SHA-256"):
        weights.load(state_dict, pinned="0" * 64)


class Hostile:
    """What a pickle can do: run anything."""

    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_that_runs_code_is_refused_and_does_not_run_it(tmp_path, capsys):
    torch.save({"a": Hostile()}, tmp_path / "hostile.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Hostile()))
    for name in ("hostile.pth", "bare.pth"):
        with pytest.raises(ModelError, match="no weights that can be read"):
            weights.load(tmp_path / name)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(1000)])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_that_holds_something_else_is_refused(tmp_path, content, suffix):
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no weights that can be read"):
        weights.load(path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 1}, torch.zeros(2)])
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="tensors by name"):
        weights.load(tmp_path / "other.pth")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.pth: No such file"):
        weights.load(tmp_path / "none.pth")


# --- published files --------------------------------------------------------------------------------------------------

DATA = b"published weights"
FILE = weights.Published(
    "file.bin", hashlib.sha256(DATA).hexdigest(), ("https://first.example/file", "https://second.example/file")
)


def answers(monkeypatch, *by_call):
    """Stands in for the network: each call gives its bytes, or raises its error; returns the addresses asked."""
    asked, left = [], list(by_call)

    def give(url, *, sha256, limit):
        asked.append(url)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(fetch, "fetch", give)
    return asked


def test_a_published_file_is_fetched_once(monkeypatch, home):
    asked = answers(monkeypatch, DATA)
    assert weights.obtain(FILE) == weights.obtain(FILE) == home / "weights" / "file.bin"
    assert FILE.place.read_bytes() == DATA and asked == ["https://first.example/file"]
    assert [path.name for path in FILE.place.parent.iterdir()] == ["file.bin"]


def test_a_damaged_copy_is_fetched_again(monkeypatch):
    FILE.place.parent.mkdir(parents=True)
    FILE.place.write_bytes(DATA[:-1])
    answers(monkeypatch, DATA)
    assert weights.obtain(FILE).read_bytes() == DATA


def test_the_second_address_is_asked_when_the_first_fails(monkeypatch):
    asked = answers(monkeypatch, LimnerError("no answer"), DATA)
    assert weights.obtain(FILE).read_bytes() == DATA and len(asked) == 2


def test_when_all_fail_the_reasons_and_the_place_are_named(monkeypatch):
    answers(monkeypatch, LimnerError("first is down"), LimnerError("second is down"))
    with pytest.raises(ModelError, match=r"first is down; second is down.*put it at .*weights/file.bin"):
        weights.obtain(FILE)
    assert not FILE.place.exists()


def test_a_disk_that_takes_nothing_is_said_to_be_the_reason(monkeypatch, home):
    home.parent.mkdir(parents=True)
    home.write_bytes(b"in the way")
    answers(monkeypatch, DATA)
    with pytest.raises(DiskError):
        weights.obtain(FILE)
