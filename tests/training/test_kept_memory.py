"""Memory that is freed is kept: the second tensor of a size costs no new pages."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
if sys.argv[1] == "kept":
    from limner.training.memory import keep_freed
    assert keep_freed()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        one, two = torch.ones(8 << 20), torch.ones(8 << 20)  # 32 MiB each
        del one, two  # the last of them lies at the end of the heap, which is otherwise given back
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks glibc")
def test_large_tensors_come_from_kept_pages():
    found = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "plain")
    }
    assert found["kept"] < 0.1 * found["plain"]
