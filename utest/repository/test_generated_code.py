"""The committed protocol code is what the .proto files generate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_protocol_code_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate-protocol", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"run `make proto` and commit the result\n{done.stdout}{done.stderr}"
