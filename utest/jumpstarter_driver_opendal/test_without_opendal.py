"""The opendal library is an extra: what needs it says so, and the rest works without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# An entry of None makes `import opendal` fail as if it were not installed.
WITHOUT = "import sys; sys.modules['opendal'] = None\n"


def python(code: str, *args: str) -> str:
    command = [sys.executable, "-c", WITHOUT + code, *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_opendal_tells_how_to_install_the_library() -> None:
    code = """
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_driver_opendal.client import operator_for_path
from jumpstarter_driver_opendal.driver import Opendal
for use in (lambda: Opendal(scheme="fs", kwargs={"root": "/tmp"}), lambda: operator_for_path("/tmp/x")):
    try:
        use()
    except ConfigurationError as error:
        print(error.message)
"""
    line = "the opendal library is not installed here: pip install 'robotframework-jumpstarter[opendal]'\n"
    assert python(code) == line * 2


@pytest.mark.parametrize("driver", ["MockFlasher", "MockStorageMuxFlasher"])
def test_flashing_local_files_needs_no_library(driver: str, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"image")
    code = f"""
from pathlib import Path
from jumpstarter.common.utils import serve
from jumpstarter_driver_opendal.driver import {driver}
root = Path(sys.argv[1])
with serve({driver}()) as client:
    client.flash(root / "image")
    client.dump(root / "dump")
print((root / "dump").read_bytes())
"""
    assert python(code, str(tmp_path)) == "b'image'\n"
