from __future__ import annotations

import subprocess
import sys

import pytest

COUNT = """
import resource, sys
if sys.argv[1] == "keep":
    from jumpstarter.common.memory import keep_buffers
    keep_buffers()
    keep_buffers()
def use():
    for _ in range(20):
        buffers = [bytes(1 << 20) for _ in range(20)]
        del buffers
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_freed_buffers_are_used_again() -> None:
    without, kept = faults("plain"), faults("keep")
    if without < 10_000:
        pytest.skip("this C library keeps buffers by itself")
    assert kept < without / 10
