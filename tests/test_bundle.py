"""The model folder: what is in it, that any damage is found, and that a hostile one runs no code."""

import json
import sys

import properties
import pytest
import torch
from properties import bank, trained
from toys import Toy

from limner import bundle, durable
from limner.errors import BadCheckpoint, ModelError
from limner.types import Condition

ABOUT = {"version": "9.9", "steps": 7, "dataset": "digits", "nested": {"not": "on the card"}}


@pytest.fixture(scope="module")
def saved(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "model"
    bundle.save(bundle.Bundle(trained("toys:Toy", digits), ABOUT, bank(digits), ""), folder)
    return folder


def forged(folder, target, **changes):
    """A copy with other files (None: without it), and a manifest that agrees with them: anyone can make one."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != durable.MANIFEST}
    files |= {name.replace("__", "."): data for name, data in changes.items()}
    contents = {name: lambda data=data: data for name, data in files.items() if data is not None}
    durable.publish_folder(target, contents, about={"format": bundle.FORMAT})
    return target


def config_with(folder, **changes):
    return json.dumps({**json.loads((folder / bundle.CONFIG).read_bytes()), **changes}).encode()


def test_it_holds_what_a_hub_shows_and_what_loading_needs(saved):
    names = {path.name for path in saved.iterdir()}
    assert names == {"config.json", "model.safetensors", "conditions.safetensors", "README.md", "manifest.json"}
    card = (saved / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: limner\n") and "8×8×1" in card and "- steps: 7" in card
    assert "nested" not in card and "Limner 9.9" in card


def test_loading_gives_back_everything(saved, digits):
    loaded = bundle.load(saved)
    assert isinstance(loaded.model, Toy) and not loaded.model.training
    assert loaded.model.data == digits.spec and loaded.about == ABOUT
    assert torch.equal(loaded.bank.label, bank(digits).label)
    assert loaded.sha256 == durable.read_manifest(saved)["files"]["model.safetensors"]["sha256"]


def test_attributes_and_odd_names_survive(shapes, tmp_path):
    model = trained("ae", shapes)
    bundle.save(bundle.Bundle(model, {"dataset": 'ünïcode "quotes"\n'}, bank(shapes), ""), tmp_path / "m")
    loaded = bundle.load(tmp_path / "m")
    assert loaded.model.data == shapes.spec and loaded.about["dataset"] == 'ünïcode "quotes"\n'
    assert torch.equal(loaded.bank.attributes, bank(shapes).attributes) and loaded.bank.known.dtype == torch.bool


def test_a_model_without_conditions_needs_none(digits, tmp_path):
    bundle.save(bundle.Bundle(trained("ae", digits, conditional="none"), {}, Condition(), ""), tmp_path / "m")
    assert bundle.load(tmp_path / "m").bank == Condition()


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_bytes_do_not_depend_on_the_memory_layout(layout, digits):
    model = trained("ae", digits)
    plain = bundle.tensor_bytes(model.state_dict())
    assert bundle.tensor_bytes(model.to(memory_format=layout).state_dict()) == plain


FORGERIES = {
    "no weights": {"model__safetensors": None},
    "no config": {"config__json": None},
    "weights that are not safetensors": {"model__safetensors": b"PK\x03\x04 a pickle"},
    "weights with a huge header": {"model__safetensors": (2**62).to_bytes(8, "little") + b"{}"},
    "weights of nothing": {"model__safetensors": b""},
    "conditions with another name": {"conditions__safetensors": bundle.tensor_bytes({"evil": torch.zeros(1)})},
    "weights of another shape": {"model__safetensors": bundle.tensor_bytes({"mean": torch.zeros(3)})},
    "a config that is no JSON": {"config__json": b"{"},
    "a config that is a list": {"config__json": b"[]"},
    "a config nested without end": {"config__json": b"[" * 100_000},
    "an empty config": {"config__json": b"{}"},
}


@pytest.mark.parametrize("changes", FORGERIES.values(), ids=FORGERIES)
def test_a_folder_that_agrees_with_itself_but_holds_no_model_is_refused(changes, saved, tmp_path):
    with pytest.raises(BadCheckpoint):
        bundle.load(forged(saved, tmp_path / "m", **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "os:system"},
        {"model": "toys:Nothing"},
        {"model": "gna"},
        {"model": 3},
        {"model": ["gan"]},
        {"config": {"latnet": 3}},
        {"config": {"latent": "many"}},
        {"config": [1]},
        {"config": {"latent": -1}},
        {"data": {}},
        {"data": {"channels": 1, "height": "tall", "width": 8, "classes": [], "attributes": []}},
        {"data": {"channels": 1, "height": 8, "width": 8, "classes": [], "attributes": [{"name": "a", "kind": "x"}]}},
        {"data": None},
        {"about": None, "data": 7},
    ],
    ids=str,
)
def test_a_config_that_describes_no_model_is_refused(changes, saved, tmp_path):
    with pytest.raises(BadCheckpoint):
        bundle.load(forged(saved, tmp_path / "m", config__json=config_with(saved, **changes)))


def test_a_config_without_what_it_is_about_is_refused(saved, tmp_path):
    config = json.loads((saved / bundle.CONFIG).read_bytes())
    del config["about"]
    with pytest.raises(BadCheckpoint):
        bundle.load(forged(saved, tmp_path / "m", config__json=json.dumps(config).encode()))


def test_loading_starts_no_process_opens_no_connection_and_unpickles_nothing(saved, tmp_path):
    """Also when the weights are a pickle that would run a command."""
    events = []
    watched = {"os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect"}
    watched |= {"pickle.find_class"}
    listening = [True]
    sys.addaudithook(lambda event, _: events.append(event) if listening and event in watched else None)
    pickled = b"cposix\nsystem\n(S'touch pwned'\ntR."
    try:
        bundle.load(saved)
        with pytest.raises(BadCheckpoint):
            bundle.load(forged(saved, tmp_path / "m", model__safetensors=pickled))
    finally:
        listening.clear()  # an audit hook cannot be removed
    assert events == []


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "stranger:Model"},
        {"model": "latent-flow", "config": {"first": "stranger:Model"}},
        {"model": "consistency", "config": {"first": "latent-flow", "first_config": {"first": "stranger:Model"}}},
    ],
)
def test_a_model_from_outside_is_not_imported_for_a_stranger(changes, saved, tmp_path, monkeypatch):
    """A folder may name any module on the path, for itself or what lies inside it; only the caller may import it."""
    (tmp_path / "stranger.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(tmp_path)
    folder = forged(saved, tmp_path / "m", config__json=config_with(saved, **changes))
    with pytest.raises(ModelError, match="import stranger first"):
        bundle.load(folder)
    assert "stranger" not in sys.modules


def test_every_file_is_checked_before_any_is_used(saved, tmp_path, monkeypatch):
    folder = forged(saved, tmp_path / "m")
    (folder / "README.md").write_text("altered")
    monkeypatch.setattr(bundle, "read_tensors", lambda path: pytest.fail("weights were read before all was verified"))
    with pytest.raises(BadCheckpoint, match="README"):
        bundle.load(folder)


def test_saving_over_a_model_replaces_it(saved, digits, tmp_path):
    folder = forged(saved, tmp_path / "m")
    other = trained("toys:Toy", digits, 9)
    bundle.save(bundle.Bundle(other, {}, bank(digits), ""), folder)
    assert torch.equal(properties.weights(bundle.load(folder).model), properties.weights(other))
