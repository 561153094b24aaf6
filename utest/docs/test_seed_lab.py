"""Command lines of the seed documents for distributed mode, typed as printed, in a lab without Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from utest.docs.console import Console, Step, run_steps, steps
from utest.docs.execute import TIMEOUT, environment
from utest.docs.seeds import DOCUMENTATION, block_with
from utest.docs.test_seed_commands import commands_of

pytestmark = [
    pytest.mark.skipif(not DOCUMENTATION.is_file(), reason="the seed documents are not beside this checkout"),
    pytest.mark.timeout(300),
]

LAB = """\
apiVersion: jumpstarter.dev/v1alpha1
kind: ControllerConfig
listen: 127.0.0.1:0
router:
  listen: 127.0.0.1:0
login:
  listen: ""
"""
POWER = "export:\n  power:\n    type: jumpstarter_driver_power.driver.MockPower\n"
UNSELECTED_TEST = """\
from jumpstarter_testing.pytest import JumpstarterTest

class TestDevice(JumpstarterTest):
    def test_power(self, client):
        client.power.on()
"""
# The documents give the exporter one label and then ask for another one.
MISSING_LABEL = " --label example.com/board=foo"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """A console beside a lab that runs."""
    (tmp_path / "lab.yaml").write_text(LAB)
    with Console(tmp_path, environment(tmp_path), TIMEOUT) as opened:
        run_steps(
            opened,
            "the lab",
            [
                Step("jmp controller run --config lab.yaml > controller.log 2>&1 &"),
                Step('until grep -q "The lab runs" controller.log; do sleep 0.1; done'),
            ],
        )
        yield opened


def add_exporter(console: Console, work: Path, name: str, label: str) -> None:
    """A running exporter with a supply, which a document takes for granted."""
    (work / "power.yaml").write_text(POWER)
    todo = [
        Step(f"jmp admin create exporter {name} --label {label} --out {name}.yaml"),
        Step(f"sed -i '/^export:/d' {name}.yaml && cat power.yaml >> {name}.yaml"),
        Step(f"jmp run --exporter-config {name}.yaml 2> {name}.log &"),
    ]
    run_steps(console, name, todo)


def add_client(console: Console, name: str) -> None:
    run_steps(console, name, [Step(f"jmp admin create client {name} --save --unsafe")])


def test_walkthrough(console: Console, tmp_path: Path) -> None:
    printed = yaml.safe_load(block_with("  name: example-distributed\n", "endpoint:", "token:"))
    (tmp_path / "drivers.yaml").write_text(yaml.safe_dump({"export": printed["export"]}))
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "/^export:/d" "$1" && cat drivers.yaml >> "$1"\n')
    editor.chmod(0o755)
    create = steps(block_with("$ jmp admin create exporter example-distributed"))
    create[0].command += MISSING_LABEL
    run = steps(block_with("$ jmp run --exporter example-distributed"))
    run[0].command += " 2> exporter.log &"
    shell = steps("$ jmp shell --client hello --selector example.com/board=foo\n$ j power on\nok\n$ exit\n")
    run_steps(
        console,
        "Setup Distributed Mode",
        [
            *create,
            Step(f"export EDITOR={editor}"),
            *steps(block_with("$ jmp config exporter edit example-distributed")),
            *run,
            *steps(block_with("$ jmp admin create client hello")),
            *shell,
        ],
    )


def test_overview(console: Console, tmp_path: Path) -> None:
    add_exporter(console, tmp_path, "widget", "vendor=acme --label model=widget-v2")
    add_client(console, "my-client")
    (tmp_path / "test_device.py").write_text(UNSELECTED_TEST)
    todo = steps(block_with("$ jmp config client use my-client", "$ jmp create lease"))
    todo[-1].expected = "...1 passed..."
    run_steps(console, "distributed mode", todo)


@pytest.mark.parametrize("product", ["# .github/workflows/hardware-test.yml\n", "# .gitlab-ci.yml\n"])
def test_leases_in_continuous_integration(product: str, console: Console, tmp_path: Path) -> None:
    add_exporter(console, tmp_path, "bench", "project=myproject")
    add_client(console, "ci-client")
    (tmp_path / "tests" / "hardware_tests").mkdir(parents=True)
    (tmp_path / "tests" / "hardware_tests" / "test_device.py").write_text(UNSELECTED_TEST)
    described = yaml.safe_load(block_with(product, "jmp create lease"))
    todo = [Step(command) for command in commands_of(described)]
    run_steps(console, product, [*todo, Step("jmp get leases", "No resources found.")])


def test_lease_in_a_variable(console: Console, tmp_path: Path) -> None:
    add_exporter(console, tmp_path, "bench", "foo=bar")
    add_client(console, "me")
    block = block_with("$ JMP_LEASE=$(jmp create lease -l foo=bar")
    todo = steps(block.replace("$$ ", "$ "))
    run_steps(console, "create lease", [*todo, Step("jmp get leases", "No resources found.")])


def test_endpoint_of_the_command_line(console: Console, tmp_path: Path) -> None:
    add_client(console, "me")
    (tmp_path / "lab.sh").write_text('cat "$HOME"/.local/state/jumpstarter/controller/endpoint\n')
    (step,) = steps(dedent(block_with("$ jmp --endpoint jumpstarter3.my-lab.com:1443 info")))
    step.command = step.command.replace("jumpstarter3.my-lab.com:1443", "$(sh lab.sh)")
    step.expected = "Endpoint: 127.0.0.1:...\n...Health: serving..."
    run_steps(console, "info", [Step("export JMP_ENDPOINT=nowhere.invalid:1"), step])


def test_external_user_names_are_kept_and_providers_are_answered(console: Console) -> None:
    create = steps(block_with("$ jmp admin create client test-client"))
    exporter = steps(block_with("$ jmp admin create exporter test-exporter").replace("\\\n", " "))
    shown = Step(
        "jmp admin get client test-client -o yaml | grep username", "  username: keycloak:developer-1"
    )
    login = Step("jmp login --client me --endpoint localhost:1 --issuer https://sso.example.com", exit_code=1)
    login.expected = "Error: logging in with an external identity provider is not supported: ..."
    token = [
        Step("token=$(jmp admin rotate client test-client | tail -1)"),
        Step("end=$(cat ~/.local/state/jumpstarter/controller/endpoint)"),
        Step(
            'jmp login --client test --insecure-tls-config --endpoint "$end" --token "$token"',
            "Logged in as ...",
        ),
        Step("jmp auth status", "...Status: Valid..."),
    ]
    run_steps(console, "authentication", [*create, shown, *exporter, login, *token])
