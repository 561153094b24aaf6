from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jumpstarter.client.core import DriverInvalidArgument
from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.common.utils import serve
from jumpstarter_driver_shell.driver import Shell
from jumpstarter_driver_shell.environment import check_environment
from jumpstarter_driver_shell.methods import ShellMethod

RUN_CODE = [
    *(
        "TAR_OPTIONS",
        "PERL5OPT",
        "PERL5LIB",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_KEY_0",
        "GIT_SSH_COMMAND",
        "MAKEFLAGS",
    ),
    *(
        "NODE_OPTIONS",
        "PYTHONWARNINGS",
        "BROWSER",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "LESSOPEN",
        "PS4",
        "EDITOR",
    ),
    *(
        "PATH",
        "HOME",
        "PYTHONPATH",
        "KUBECONFIG",
        "BASH_ENV",
        "ENV",
        "LD_PRELOAD",
        "SHELLOPTS",
        "IFS",
        "GCONV_PATH",
    ),
    *(
        "GZIP",
        "XZ_OPT",
        "ZSTD_NBTHREADS",
        "PAGER",
        "VISUAL",
        "SSH_ASKPASS",
        "RSYNC_RSH",
        "https_proxy",
        "JMP_TOKEN",
    ),
    *("SOME_TOOL_OPTIONS", "X", "mixed_Case"),
]


def method(command: str, env: tuple[str, ...] | None = None) -> ShellMethod:
    return ShellMethod(command=command, timeout=1, env=env)


@pytest.mark.parametrize("name", RUN_CODE)
def test_a_variable_that_nobody_listed_is_refused(name: str) -> None:
    for one in (method("tar cf a.tar b"), method("tar cf a.tar b", ()), method("x", ("OTHER", "Y*"))):
        with pytest.raises(
            ValueError, match=rf"variable {name} may not be set .*add it to methods\.pack\.env"
        ):
            check_environment({name: "x"}, "pack", one)


@pytest.mark.parametrize("name", RUN_CODE[:-3])
def test_a_command_that_mentions_a_powerful_variable_does_not_ask_for_another(name: str) -> None:
    for one in (method(f'echo "${name}"'), method("tar cf a.tar b", ("*",))):
        with pytest.raises(ValueError, match="may not be set"):
            check_environment({name: "x"}, "pack", one)
    assert check_environment({name: 1}, "pack", method("tar", (name,))) == {name: "1"}


@pytest.mark.parametrize(
    "command",
    [
        'echo "$FIRMWARE"',
        'echo "${FIRMWARE:-none}"',
        "printenv FIRMWARE",
        "import os; print(os.environ['FIRMWARE'])",
        "if [ -n $FIRMWARE ]; then\n  flash $FIRMWARE\nfi",
    ],
)
def test_what_a_command_mentions_may_be_set(command: str) -> None:
    assert check_environment({"FIRMWARE": "a.img"}, "flash", method(command)) == {"FIRMWARE": "a.img"}
    for other in ("FIRMWARE2", "FIRM", "firmware"):
        with pytest.raises(ValueError, match="may not be set"):
            check_environment({other: "x"}, "flash", method(command))


def test_patterns_allow_what_fits() -> None:
    one = method("./flash.sh", ("DUT_*", "FIRMWARE"))
    assert check_environment({"DUT_A": "1", "FIRMWARE": "2"}, "flash", one) == {"DUT_A": "1", "FIRMWARE": "2"}
    with pytest.raises(ValueError, match=r"which has DUT_\*, FIRMWARE"):
        check_environment({"DUT": "1"}, "flash", one)


@pytest.mark.parametrize("name", ["1A", "", "A=B", "BASH_FUNC_x%%", "A B", "A\n", "Ä"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of an environment variable"):
        check_environment({name: "x"}, "m", method("x", ("*",)))


@pytest.mark.parametrize("env", ["FIRMWARE", [1], ["A=B"], [""], ["1A"], {"A": "B"}])
def test_a_list_that_is_none_is_a_wrong_configuration(env: Any) -> None:
    for config in ({"methods": {"m": {"command": "x", "env": env}}}, {"methods": {"m": "x"}, "env": env}):
        with pytest.raises(ConfigurationError, match=r"env is .*, expected a list of variables"):
            Shell(**config)


def test_a_client_cannot_make_tar_run_code(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    hostile = {"TAR_OPTIONS": "--checkpoint=1 --checkpoint-action=exec=sh\\ -c\\ 'touch${IFS}owned'"}
    methods: Any = {"pack": "tar cf a.tar file", "report": {"command": "./report.sh", "env": ["BOARD"]}}
    (tmp_path / "report.sh").write_text("#!/bin/sh\necho $BOARD\n")
    (tmp_path / "report.sh").chmod(0o755)
    with serve(Shell(methods=methods, cwd=str(tmp_path))) as client:
        with pytest.raises(DriverInvalidArgument, match=r"TAR_OPTIONS may not be set .* methods\.pack\.env"):
            client.pack(**hostile)
        assert client.report(BOARD="7") == ("7\n", "", 0)
    assert not (tmp_path / "owned").exists()


def test_the_drivers_list_is_for_methods_without_one_of_their_own(tmp_path: Path) -> None:
    methods: Any = {"a": "./a.sh", "b": {"command": "echo $B", "env": []}}
    with serve(Shell(methods=methods, env=["A"])) as client:
        with pytest.raises(DriverInvalidArgument, match=r"methods\.b\.env .*has none"):
            client.b(B="1")
        assert "not found" in client.a(A="1")[1] or "No such file" in client.a(A="1")[1]
