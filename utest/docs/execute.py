"""Runs a page of documentation from top to bottom in a folder of its own; the first untrue block is an error.

| language | what happens |
|---|---|
| `console` | typed into bash; exit codes and shown output are compared (console.py) |
| `python` | run as a script |
| `pycon` | run as a doctest |
| `robot` | run as a suite |
| `yaml` | Jumpstarter's own files are checked by the loader that reads them, any other must be YAML |
| `toml`, `json` | must be what they claim |
| `text` | only shown |
| any, under `<!-- file: NAME -->` | written to that file, and not run; `yaml` is checked too |
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from jumpstarter.common.exceptions import JumpstarterException

from utest.docs.configs import check_yaml
from utest.docs.console import Console, run_steps, steps
from utest.docs.pages import Block, blocks

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = ("JMP_", "JUMPSTARTER_", "XDG_", "PYTEST_", "VIRTUAL_ENV", "PYTHON")
TIMEOUT = 120.0

NEEDS: dict[str, Callable[[], bool]] = {
    "root": lambda: os.geteuid() == 0,
    "qemu": lambda: (
        shutil.which("qemu-system-aarch64") is not None and Path("/usr/lib/u-boot/qemu_arm64").is_dir()
    ),
    "board": lambda: (
        shutil.which("qemu-system-aarch64") is not None
        and (cache() / "boards" / "debian-arm64" / "Image").is_file()
    ),
}


def cache() -> Path:
    """Where downloads are kept: they are the only thing that pages share with the machine."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("JMP_CACHE") or base / "jumpstarter")


class BlockFailed(AssertionError):
    """A block of a page does not do what the page says."""


@dataclass
class Page:
    """The folder and the environment that the blocks of one page share, and its console."""

    folder: Path
    environment: dict[str, str]
    console: Console


def environment(home: Path, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment with its own home, our commands first on the PATH, and no setting of Jumpstarter."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(FOREIGN)}
    scripts = sysconfig.get_path("scripts")
    places = {
        "REPOSITORY": ROOT,
        "HOME": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_CACHE_HOME": home / ".cache",
        # Where `jmp local start` is found: pages must not meet each other's, nor the user's.
        "XDG_RUNTIME_DIR": home / "run",
        "JMP_CACHE": cache(),
    }
    commands = {"PATH": f"{scripts}{os.pathsep}{inherited['PATH']}", "COLUMNS": "100", "NO_COLOR": "1"}
    # Whatever the machine's own is: only bash leaves to us what it has not read when it ends.
    commands["SHELL"] = "/bin/bash"
    return kept | commands | {name: str(place) for name, place in places.items()}


@contextmanager
def lab_ports(page: Path) -> Iterator[None]:
    """Hold a lab's usual ports, for a page that runs one as its reader does; only one page at a time can."""
    if "jmp controller run" not in page.read_text(encoding="utf-8"):
        yield
        return
    lock = Path(tempfile.gettempdir()) / f"jumpstarter-lab-ports-{os.getuid()}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_page(page: Path, folder: Path) -> list[Block]:
    """Run every block of the page; returns those that were left out for lack of what they need.

    Raises BlockFailed, Mismatch, TimeoutError or ValueError naming the page, the line and what differs.
    """
    home, work = folder / "home", folder / "page"
    home.mkdir()
    work.mkdir()
    surroundings = environment(home)
    left_out = []
    with lab_ports(page), Console(work, surroundings, TIMEOUT) as console:
        shared = Page(work, surroundings, console)
        for block in blocks(page):
            if all(NEEDS[need]() for need in block.comments.get("needs", "").split()):
                run_block(block, shared)
            else:
                left_out.append(block)
    return left_out


def run_block(block: Block, page: Page) -> None:
    """Do with the block what its language asks for."""
    if "file" in block.comments:
        write_file(block, page)
        return
    runner = RUNNERS.get(block.language)
    if runner is None:
        raise BlockFailed(
            f"{block.place}: a block of '{block.language}' is not run; use one of {', '.join(RUNNERS)}"
        )
    runner(block, page)


def write_file(block: Block, page: Page) -> None:
    target = page.folder / block.comments["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(block.text, encoding="utf-8")
    if block.language == "yaml":
        run_yaml(block, page)


def run_console(block: Block, page: Page) -> None:
    run_steps(page.console, block.place, steps(block.text, int(block.comments.get("exit", "0"))))


def run_python(block: Block, page: Page) -> None:
    script = page.folder / f"block_{block.line}.py"
    script.write_text(block.text, encoding="utf-8")
    run_program(block, page, [sys.executable, str(script)])


def run_pycon(block: Block, page: Page) -> None:
    script = page.folder / f"block_{block.line}.txt"
    script.write_text(block.text, encoding="utf-8")
    run_program(
        block,
        page,
        [sys.executable, "-m", "doctest", "-o", "ELLIPSIS", "-o", "NORMALIZE_WHITESPACE", str(script)],
    )


def run_robot(block: Block, page: Page) -> None:
    suite = page.folder / f"block_{block.line}.robot"
    suite.write_text(block.text, encoding="utf-8")
    run_program(block, page, [sys.executable, "-m", "robot", "--outputdir", "results", str(suite)])


def run_program(block: Block, page: Page, command: list[str]) -> None:
    done = subprocess.run(
        command,
        cwd=page.folder,
        env=page.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BlockFailed(f"{block.place}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def run_yaml(block: Block, page: Page) -> None:
    try:
        check_yaml(block.text, page.folder)
    except (JumpstarterException, yaml.YAMLError) as error:
        raise BlockFailed(f"{block.place}: {error}") from error


def run_toml(block: Block, page: Page) -> None:
    tomllib.loads(block.text)


def run_json(block: Block, page: Page) -> None:
    json.loads(block.text)


def show(block: Block, page: Page) -> None:
    """Text is for reading only."""


RUNNERS: dict[str, Callable[[Block, Page], None]] = {
    "console": run_console,
    "python": run_python,
    "pycon": run_pycon,
    "robot": run_robot,
    "yaml": run_yaml,
    "toml": run_toml,
    "json": run_json,
    "text": show,
}
