"""`limner doctor`: what this machine offers, and what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from .. import __version__
from .output import Answer, Common, lines

PLAIN = Common()
_CORE = ("torch", "numpy", "pillow", "safetensors", "pydantic", "cyclopts", "rich", "platformdirs")
_NO_PARTS = ("all", "dev")  # extras that are made of others, or for developers


def doctor(*, common: Common = PLAIN) -> Answer:
    """Say which versions, devices, extras, caches and disk space there are, and how to get what is missing."""
    values = {
        "limner": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in _CORE},
        "cores": _cores(),
        **_devices(),
        "extras": {name: all(map(_version, packages)) for name, packages in _extras().items()},
        **_disk(),
    }
    return Answer(values, _text(values))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _extras() -> dict[str, list[str]]:
    """Extra -> the packages that it brings, as Limner's own metadata have them."""
    found: dict[str, list[str]] = {}
    for line in requires("limner") or ():
        if (told := re.match(r"([\w.-]+).*; extra == .([\w-]+).$", line)) and told[2] not in _NO_PARTS:
            found.setdefault(told[2], []).append(told[1])
    return found


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _devices() -> dict[str, Any]:
    """Threads and devices of torch, and which of the devices compute in bf16."""
    import torch

    devices = [{"name": "cpu", "what": platform.processor() or platform.machine(), "bf16": _takes_bf16("cpu")}]
    for index in range(torch.cuda.device_count()):
        name = f"cuda:{index}"
        devices.append({"name": name, "what": torch.cuda.get_device_name(index), "bf16": _takes_bf16(name)})
    if torch.backends.mps.is_available():
        devices.append({"name": "mps", "what": "Apple GPU", "bf16": _takes_bf16("mps")})
    return {
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "devices": devices,
    }


def _takes_bf16(device: str) -> bool:
    """Whether a small product in bf16 runs; whether it is faster is measured at the start of each run."""
    import torch

    try:
        ones = torch.ones(8, 8, dtype=torch.bfloat16, device=device)
        return bool((ones @ ones).sum().item() == 512)
    except RuntimeError:
        return False


def _disk() -> dict[str, Any]:
    """The cache of decoded images, and the space that is left there and here."""
    from ..data.cache import home

    cache = home()
    existing = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    used = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else 0
    return {
        "cache": {"path": str(cache), "bytes": used, "free": shutil.disk_usage(existing).free},
        "here": {
            "path": str(Path.cwd()),
            "free": shutil.disk_usage(Path.cwd()).free,
            "writable": os.access(Path.cwd(), os.W_OK),
        },
    }


def _text(values: dict[str, Any]) -> str:
    facts = {"python": f"{values['python']} on {values['platform']}"}
    facts |= {name: found or "MISSING" for name, found in values["packages"].items()}
    facts["cores"] = f"{values['cores']}, {values['threads']} threads for torch, {values['cpu_capability']}"
    for device in values["devices"]:
        facts[device["name"]] = f"{device['what']}, bf16 {'works' if device['bf16'] else 'does not work'}"
    for name, there in values["extras"].items():
        facts[f"extra {name}"] = "installed" if there else f"missing: pip install -c constraints.txt 'limner[{name}]'"
    cache, here = values["cache"], values["here"]
    facts["cache"] = f"{cache['path']}: {cache['bytes'] / 1e6:,.0f} MB, {cache['free'] / 1e9:,.1f} GB free"
    state = "" if here["writable"] else ", which cannot be written"
    facts["here"] = f"{here['path']}: {here['free'] / 1e9:,.1f} GB free{state}"
    return lines(f"limner {values['limner']}", facts)
