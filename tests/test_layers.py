"""The order of the layers, and the doors: what may be done in one module only is done in no other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import limner

ROOT = Path(limner.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# imports only point to lower numbers; parts of one layer do not import each other
LAYERS = {
    "errors": 0,
    **dict.fromkeys(["config", "types", "precise", "rng", "durable", "fetch"], 1),
    **dict.fromkeys(["images", "prompts"], 2),
    **dict.fromkeys(["nn", "losses", "data", "diffusion"], 3),
    "engine": 4,
    **dict.fromkeys(["model", "features"], 5),
    **dict.fromkeys(["models", "metrics"], 6),
    "bundle": 7,
    "tasks": 8,
    "training": 9,
    "evaluation": 10,
    **dict.fromkeys(["running", "made"], 11),
    "trained": 12,
    "api": 13,
    **dict.fromkeys(["judging", "trial"], 14),
    **dict.fromkeys(["contest", "advice"], 15),
    **dict.fromkeys(["cli", "demo"], 16),
    "__main__": 17,
}
ANYWHERE = {"__init__"}  # the package itself: its version, and names that are imported when first used


def part(path: Path) -> str:
    """The part of the package that a file belongs to: nn, models, bundle …"""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_parts(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, part) of every import from within the package, wherever in the file it stands."""
    package = ["limner", *path.relative_to(ROOT).with_suffix("").parts][:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = [*base, *(node.module.split(".") if node.module else [])]
            modules = [".".join([*origin, alias.name]) for alias in node.names]
        else:
            continue
        for module in modules:
            top, *rest = module.split(".")
            if top == "limner":
                found = rest[0] if rest and rest[0] in LAYERS else "__init__"
                yield node.lineno, found


def wrong_way(path: Path, source: str) -> list[str]:
    """Imports of a file that do not point down to a lower layer."""
    own = part(path)
    if own in ANYWHERE:
        return []
    return [
        f"{path.relative_to(ROOT)}:{line}: {own} imports {found}"
        for line, found in imported_parts(path, ast.parse(source))
        if found != own and found not in ANYWHERE and LAYERS[found] >= LAYERS[own]
    ]


def test_every_file_has_its_layer():
    assert {part(path) for path in FILES} <= {*LAYERS, *ANYWHERE}


def test_imports_only_point_to_lower_layers():
    assert [line for path in FILES for line in wrong_way(path, path.read_text())] == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("rng.py", "from .data import Dataset"),
        ("nn/blocks.py", "from ..losses import penalties"),
        ("nn/blocks.py", "from ..losses.penalties import clip_weights"),
        ("data/builtin/shapes.py", "from ...models.gan import GAN"),
        ("models/gan.py", "def f():\n    from .. import bundle"),
        ("tasks/tiles.py", "import limner.training.loop"),
        ("bundle.py", "from limner import api"),
    ],
)
def test_an_import_the_wrong_way_is_found(file, source):
    assert wrong_way(ROOT / file, source)


# --- doors ------------------------------------------------------------------------------------------------------------

# what -> the files that may do it, and why
DOORS: dict[str, set[str]] = {
    "write a file": {
        "durable.py",  # the door
        "data/cache.py",  # can be made again: what is not whole is not found
        "data/open.py",  # the cache's draft
        "features/shelf.py",  # can be made again: what is not whole is not found
        "training/log.py",  # for reading; cut back to the checkpoint on resume
    },
    "rename": {"durable.py", "data/cache.py", "features/shelf.py"},
    "sync": {"durable.py"},
    "open an image": set(),  # images/read.py, the door, goes by the classes of the formats it allows
    "load a pickle": {"features/weights.py"},  # published weights, weights_only, after their pinned sha256 was checked
    "run text as code": set(),
    "run a shell": set(),
    "reach the network": {"fetch.py"},
    "use torchvision": set(),
    "hide what is not finite": set(),
}
FORBIDDEN_MODULES = {
    "load a pickle": {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml"},
    "reach the network": {"socket", "requests", "urllib.request", "http", "httpx", "ftplib", "aiohttp"},
    "run a shell": {"pty", "commands"},
    "use torchvision": {"torchvision"},
}
CALLS = {
    "Image.open": "open an image",
    "os.rename": "rename",
    "os.replace": "rename",
    "os.renames": "rename",
    "shutil.move": "rename",
    "os.fsync": "sync",
    "os.fdatasync": "sync",
    "torch.load": "load a pickle",
    "torch.save": "load a pickle",
    "torch.hub.load": "reach the network",
    "eval": "run text as code",
    "exec": "run text as code",
    "compile": "run text as code",
    "os.system": "run a shell",
    "os.popen": "run a shell",
    "torch.nan_to_num": "hide what is not finite",
    "np.nan_to_num": "hide what is not finite",
    "np.save": "write a file",
    "np.savez": "write a file",
    "shutil.copy": "write a file",
    "shutil.copytree": "write a file",
}
METHODS = {"write_bytes": "write a file", "write_text": "write a file", "nan_to_num": "hide what is not finite"}


def uses(source: str) -> Iterator[tuple[int, str]]:
    """(line, what) of everything in a source that belongs behind a door."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, what) for alias in node.names for what in _module(alias.name))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, what) for what in _module(node.module))
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _call(node))


def _module(name: str) -> Iterator[str]:
    for what, modules in FORBIDDEN_MODULES.items():
        if any(name == module or name.startswith(f"{module}.") for module in modules):
            yield what


def _call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    if name in CALLS:
        yield CALLS[name]
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        yield METHODS[node.func.attr]
    if name.split(".")[-1] in ("open", "fdopen") and _writes(node):
        yield "write a file"
    # str.replace takes two arguments, Path.replace and Path.rename one
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("rename", "replace") and len(node.args) == 1:
        yield "rename"
    for keyword in node.keywords:
        if getattr(keyword.value, "value", None) is True and keyword.arg in ("shell", "allow_pickle"):
            yield "run a shell" if keyword.arg == "shell" else "load a pickle"


def _writes(node: ast.Call) -> bool:
    """Whether the mode of an `open` is one that writes; a mode that cannot be read off the source counts as one."""
    method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func) != "os.fdopen"
    modes = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    modes += node.args[0 if method else 1 :][:1]
    # the first argument of a method may be anything, such as a name in an archive
    texts = [mode.value if isinstance(mode, ast.Constant) else "" if method else "w" for mode in modes]
    return any(set(text) & set("wax+") for text in texts if isinstance(text, str) and len(text) <= 4)


def test_what_belongs_behind_a_door_is_done_nowhere_else():
    found = {
        f"{path.relative_to(ROOT)}:{line}: {what}"
        for path in FILES
        for line, what in uses(path.read_text())
        if str(path.relative_to(ROOT)) not in DOORS[what]
    }
    assert found == set()


def test_every_door_is_used():
    """A door that nothing goes through any more should be closed."""
    for what, files in DOORS.items():
        for file in files:
            assert what in {use for _, use in uses((ROOT / file).read_text())}, (what, file)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("open(path, 'w')", "write a file"),
        ("open(path, mode='ab')", "write a file"),
        ("path.open('r+b')", "write a file"),
        ("open(path, mode)", "write a file"),
        ("path.write_text('x')", "write a file"),
        ("os.replace(a, b)", "rename"),
        ("path.replace(other)", "rename"),
        ("def f():\n    import pickle", "load a pickle"),
        ("from yaml import load", "load a pickle"),
        ("torch.load(path)", "load a pickle"),
        ("np.load(path, allow_pickle=True)", "load a pickle"),
        ("subprocess.run(x, shell=True)", "run a shell"),
        ("eval('1')", "run text as code"),
        ("Image.open(path)", "open an image"),
        ("import torchvision.models", "use torchvision"),
        ("loss.nan_to_num()", "hide what is not finite"),
    ],
)
def test_a_way_around_a_door_is_found(source, what):
    assert what in {found for _, found in uses(source)}


@pytest.mark.parametrize("source", ["open(path)", "open(path, 'rb')", "model.eval()", "text.replace('a', 'b')"])
def test_harmless_things_are_let_through(source):
    assert not list(uses(source))


# --- imports that must stay cheap ---------------------------------------------------------------------------------

CHEAP = ["limner", "limner.cli", "limner.config", "limner.errors", "limner.models", "limner.data", "limner.images.read"]


@pytest.mark.parametrize("module", CHEAP)
def test_importing_it_does_not_import_torch(module):
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_the_package_offers_exactly_its_public_names():
    for name in limner.__all__:
        assert getattr(limner, name) is not None
    assert sorted(limner.__all__) == limner.__all__ and set(limner._PUBLIC) | {"__version__"} == set(limner.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        limner.tarin  # noqa: B018
