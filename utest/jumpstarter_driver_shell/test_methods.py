from __future__ import annotations

from typing import Any

import pytest
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_driver_shell.methods import ShellMethod, parse_methods


def test_a_method_is_a_command_or_a_mapping() -> None:
    methods = parse_methods(
        {"ls": "ls", "slow": {"command": "sleep 1", "timeout": 2, "description": "Wait"}}, default_timeout=300
    )
    assert methods == {
        "ls": ShellMethod(command="ls", timeout=300),
        "slow": ShellMethod(command="sleep 1", timeout=2, description="Wait"),
    }


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"methods": ["ls"]}, "Shell: methods is ['ls'], expected a mapping"),
        ({"methods": {True: "ls"}}, "Shell: methods has the name True, expected a text; YAML reads on"),
        ({"methods": {"a": 1}}, "Shell: methods.a is 1, expected a command"),
        (
            {"methods": {"a": {"comand": "ls"}}},
            "Shell: methods.a has the unknown key 'comand', expected command, timeout, description or env; "
            "did you mean 'command'?",
        ),
        ({"methods": {"a": {"timeout": 1}}}, "Shell: methods.a.command is None"),
        ({"methods": {"a": {"command": "ls", "timeout": "1"}}}, "Shell: methods.a.timeout is '1'"),
        ({"methods": {"a": {"command": "ls", "timeout": 0}}}, "Shell: methods.a.timeout is 0"),
        ({"methods": {"a": {"command": "ls", "description": 1}}}, "Shell: methods.a.description is 1"),
        ({"methods": {}, "timeout": -1}, "Shell: timeout is -1, expected a number of seconds above 0"),
        ({"methods": {}, "shell": "bash -c"}, "Shell: shell is 'bash -c', expected a list"),
        ({"methods": {}, "shell": []}, "Shell: shell is [], expected a list"),
        (
            {"methods": {}, "shell": ["/nosuch/sh"]},
            "Shell: shell is '/nosuch/sh', which is not an executable",
        ),
    ],
)
def test_a_wrong_configuration_names_key_and_expectation(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Shell(**config)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
