"""Command lines of the seed documents for local mode and for `jmp config`, typed as printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from utest.docs.console import Console, Step, run_steps, steps
from utest.docs.execute import TIMEOUT, environment
from utest.docs.seeds import DOCUMENTATION, block_with

pytestmark = [
    pytest.mark.skipif(not DOCUMENTATION.is_file(), reason="the seed documents are not beside this checkout"),
    pytest.mark.timeout(300),
]

# The documents leave open which exporter; this is what a reader types for "use appropriate parameters".
OPEN_SHELL = "jmp shell # Use appropriate --exporter or --client parameters"
LOCAL_SHELL = "jmp shell --exporter example-local"

CLIENT_ANSWERS = "default\nmyclient\nlab.example.com:1443\nsecret-token\njumpstarter_driver_*"

SIMULATED = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ExporterConfig
metadata:
  namespace: default
  name: simulated
export:
  board:
    type: jumpstarter_driver_simulated.driver.SimulatedBoard
  power:
    ref: board.power
  serial:
    ref: board.serial
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A home in which the documents' exporters are registered."""
    exporters = tmp_path / ".config" / "jumpstarter" / "exporters"
    exporters.mkdir(parents=True)
    (exporters / "example-local.yaml").write_text(block_with("  name: example-local\n"))
    (exporters / "my-exporter.yaml").write_text(SIMULATED)
    return tmp_path


@pytest.fixture
def console(work: Path) -> Iterator[Console]:
    with Console(work, environment(work), TIMEOUT) as opened:
        yield opened


def typed(text: str, *, shell: str = LOCAL_SHELL) -> list[Step]:
    """The steps of a printed block, with its open `jmp shell` made one that this machine can do."""
    todo = steps(text)
    for step in todo:
        if step.command == OPEN_SHELL:
            step.command = shell
    return todo


def test_shell_of_a_local_exporter(console: Console) -> None:
    run_steps(console, "spawn and exit", typed("$ jmp shell --exporter example-local\n$ exit\n"))


def test_shell_has_the_commands_of_the_drivers(console: Console) -> None:
    todo = typed(block_with("$ j power on\n", "$ j power off\n"))
    listing = next(step for step in todo if step.command == "j")
    # Which exit code `j` alone has is not printed, and there may be more options than the document knew.
    listing.exit_code = None
    listing.expected = listing.expected.replace("  --help  Show this message and exit.", "...--help  ...")
    run_steps(console, "the j command", todo)


def test_python_in_the_shell(console: Console, work: Path) -> None:
    (work / "example.py").write_text(block_with("import time\n", "with env() as client:\n"))
    run_steps(console, "python in the shell", typed(block_with("$ python ./example.py\n")))


def test_pytest_in_the_shell(console: Console, work: Path) -> None:
    (work / "example_test.py").write_text(block_with("class MyTest(JumpstarterTest):\n"))
    todo = typed(block_with("$ pytest ./example_test.py\n"))
    todo[1].expected = "...2 passed..."
    run_steps(console, "pytest in the shell", todo)


def test_pytest_with_the_client_as_an_attribute(console: Console, work: Path) -> None:
    (work / "test_device.py").write_text(block_with("class TestMyDevice(JumpstarterTest):\n"))
    run_steps(
        console,
        "pytest",
        [
            *steps(block_with("$ jmp shell --exporter my-exporter\n", "$ pytest test_device.py\n")),
            Step("exit"),
        ],
    )


def test_exporter_shell_with_a_file(console: Console, work: Path) -> None:
    (work / "exporter.yaml").write_text(SIMULATED)
    todo = [
        Step("file=exporter.yaml"),
        Step("jmp exporter shell -c $file"),
        Step("j power on", "ok\n"),
        Step("exit"),
    ]
    run_steps(console, "jmp exporter shell", todo)


@pytest.mark.parametrize("product", ["# .github/workflows/self-hosted-hw-test.yml\n", ".gitlab-ci.yml\n"])
def test_local_mode_in_continuous_integration(product: str, console: Console, work: Path) -> None:
    """The steps of the two printed CI files, with a test of our own in the folder that they name."""
    (work / ".jumpstarter").mkdir()
    # Its labels are those that the printed test selects.
    labels = "  labels: {vendor: acme, model: widget-v2}\nexport:\n"
    config = SIMULATED.replace("export:\n", labels)
    (work / ".jumpstarter" / "local-config.yaml").write_text(config)
    (work / "tests" / "hardware_tests").mkdir(parents=True)
    test = block_with("class TestMyDevice(JumpstarterTest):\n")
    (work / "tests" / "hardware_tests" / "test_device.py").write_text(test)
    described = yaml.safe_load(block_with(product, "jmp local start"))
    run_steps(console, product, [Step(command) for command in commands_of(described)])


def commands_of(pipeline: dict[str, Any]) -> list[str]:
    """The commands of a GitHub or a GitLab pipeline, in order."""
    if "jobs" in pipeline:
        return [step["run"] for step in pipeline["jobs"]["hardware-test"]["steps"] if "run" in step]
    job = pipeline["hardware-test"]
    return [*job["script"], *job["after_script"]]


def config_commands(block: str, name: str, answers: str) -> list[Step]:
    """The printed lines for a NAME; `create` asks for what no option says, and gets it from its input."""
    todo = steps(block.replace("<name>", name))
    for step in todo:
        if " create " in step.command:
            command, comment = step.command.split("#")
            step.command = f"{command}<<'ANSWERS' #{comment}\n{answers}\nANSWERS"
    return todo


def test_config_client(console: Console, work: Path) -> None:
    block = block_with("$ jmp config client create <name>")
    created = config_commands(block, "lab", CLIENT_ANSWERS)
    shown = Step("jmp config client list -o name", "lab\n")
    run_steps(console, "jmp config client", [created[0], shown, *created[1:]])
    assert not (work / ".config" / "jumpstarter" / "clients" / "lab.yaml").exists()


def test_config_exporter(console: Console, work: Path) -> None:
    block = block_with("$ jmp config exporter create <name>")
    created = config_commands(block, "bench", "default\nbench\nlab.example.com:1443\nsecret-token")
    shown = Step("jmp config exporter list -o name", "...bench\n...")
    run_steps(console, "jmp config exporter", [created[0], shown, *created[1:]])
    assert not (work / ".config" / "jumpstarter" / "exporters" / "bench.yaml").exists()


def test_config_exporter_edit(console: Console, work: Path) -> None:
    editor = work / "editor"
    editor.write_text("#!/bin/sh\necho '# edited' >> \"$1\"\n")
    editor.chmod(0o755)
    exporters = work / ".config" / "jumpstarter" / "exporters"
    shutil.copy(exporters / "example-local.yaml", exporters / "example-distributed.yaml")
    todo = steps(block_with("$ jmp config exporter edit example-distributed"))
    run_steps(console, "edit", [Step(f"export EDITOR={editor}"), *todo])
    assert (exporters / "example-distributed.yaml").read_text().endswith("# edited\n")


def test_version(console: Console) -> None:
    run_steps(console, "version", [Step("jmp version", "...0.1.0...")])
