"""What must not be in any file of the repository, so that it works on every machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in pieces, because this file is searched too.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "deb.debian" + ".org",
    "registry.npm" + "js.org",
    "pkg.jump" + "starter.dev",
    "quay" + ".io",
    "docker" + ".io",
    "ghcr" + ".io",
]
PATHS_OF_ONE_MACHINE = re.compile(r"(^|[\s\"'=(])/(" + "work|farm" + r")/|/root/" + r"\.")


def text_files() -> dict[Path, str]:
    """Every file that git tracks or would track, and that is text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    texts = {}
    for path in names:
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content:
                texts[path.relative_to(ROOT)] = content.decode("utf-8")
    return texts


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    return text_files()


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_registry_host_is_named(host: str, texts: dict[Path, str]) -> None:
    assert [str(path) for path, text in texts.items() if host in text] == []


def test_no_path_of_one_machine_is_named(texts: dict[Path, str]) -> None:
    lines = [
        f"{path}:{number}: {line.strip()}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if PATHS_OF_ONE_MACHINE.search(line)
    ]
    assert lines == []


def test_scripts_are_executable(texts: dict[Path, str]) -> None:
    scripts = [
        path for path, text in texts.items() if text.startswith("#!") and path.parts[0] in ("scripts", ".ci")
    ]
    assert scripts, "the repository has scripts"
    assert [
        str(path)
        for path in scripts
        if path.parts[0] == "scripts" and not (ROOT / path).stat().st_mode & 0o100
    ] == []
