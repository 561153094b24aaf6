"""The commands of the boot prompt and of the login shell, and how their lines are read."""

from __future__ import annotations

import pytest
from jumpstarter_driver_simulated import bootprompt, shell
from jumpstarter_driver_simulated.commandline import Answer, Unbalanced, split_commands, split_words
from jumpstarter_driver_simulated.image import Image


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("", []),
        (" ; ;", []),
        ("a b", [(";", "a b")]),
        ("a;b && c||d", [(";", "a"), (";", "b"), ("&&", "c"), ("||", "d")]),
        ("""echo ';' "a && b" \\;""", [(";", """echo ';' "a && b" \\;""")]),
        ("a & b | c", [(";", "a & b | c")]),
    ],
)
def test_split_commands(line: str, commands: list[tuple[str, str]]) -> None:
    assert split_commands(line) == commands


@pytest.mark.parametrize("line", ["echo 'a", 'echo "a', "a; b 'c\""])
def test_quote_that_is_not_closed(line: str) -> None:
    with pytest.raises(Unbalanced, match="is not closed"):
        split_commands(line)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo  a   b", ["echo", "a", "b"]),
        ("""e'ch'"o" 'a  b' "" c""", ["echo", "a  b", "", "c"]),
        ("echo $x ${x} $? '$x' \"<$x>\" \\$x", ["echo", "X", "X", "?", "$x", "<X>", "$x"]),
        ("echo a$x.b $", ["echo", "aX.b", "$"]),
        ("echo a\\ b \\", ["echo", "a b", ""]),
    ],
)
def test_split_words(command: str, words: list[str]) -> None:
    assert split_words(command, lambda name: name.upper()) == words


@pytest.mark.parametrize(
    ("line", "text", "act"),
    [
        ("", "", None),
        ("echo hello   world", "hello world\n", None),
        ("nosuch", "Unknown command 'nosuch' - try 'help'\n", None),
        ("nosuch; echo $?", "Unknown command 'nosuch' - try 'help'\n1\n", None),
        ("printenv a; echo $?", "a=1\n0\n", None),
        ("printenv nope; echo $?", '## Error: "nope" not defined\n1\n', None),
        ("setenv b ${a}2; echo $b", "12\n", None),
        ("setenv a; echo <$a>", "<>\n", None),
        ("true && echo yes || echo no", "yes\n", None),
        ("false && echo yes || echo no", "no\n", None),
        ("help dhcp", "dhcp      - boot image via network using DHCP/TFTP protocol\n", None),
        ("help nosuch; echo $?", "Unknown command 'nosuch' - try 'help' without arguments\n1\n", None),
        ("echo 'open", "syntax error\n", None),
        ("boot; echo never", "", bootprompt.Act.BOOT),
        ("reset; echo never", "resetting ...\n", bootprompt.Act.RESET),
    ],
)
def test_boot_prompt(line: str, text: str, act: bootprompt.Act | None) -> None:
    assert bootprompt.BootPrompt({"a": "1"}).run(line) == Answer(text, act)


def test_boot_prompt_prints_the_whole_environment_sorted() -> None:
    text = bootprompt.BootPrompt({"b": "2", "a": "1"}).run("printenv").text
    assert text == "a=1\nb=2\n\nEnvironment size: 8/65532 bytes\n"


def test_dhcp_sets_the_address() -> None:
    prompt = bootprompt.BootPrompt({})
    assert "DHCP client bound to address 10.0.2.15" in prompt.run("dhcp").text
    assert prompt.run("printenv ipaddr").text == "ipaddr=10.0.2.15\n"


def test_version_says_u_boot() -> None:
    assert bootprompt.BootPrompt({}).run("version").text.startswith("U-Boot 20")


def test_help_lists_every_command() -> None:
    prompt = bootprompt.BootPrompt({})
    names = [line.split()[0] for line in prompt.run("help").text.splitlines()]
    assert names == sorted(names) and {"boot", "dhcp", "printenv", "reset", "setenv", "version"} <= set(names)
    for name in names:
        assert "Unknown command" not in bootprompt.BootPrompt({}).run(name).text


@pytest.mark.parametrize(
    ("line", "text", "act"),
    [
        ("uname", "Linux\n", None),
        ("uname -r", "6.6.6\n", None),
        ("uname -sr", "Linux 6.6.6\n", None),
        ("uname -a", "Linux board 6.6.6 #1 SMP PREEMPT aarch64 GNU/Linux\n", None),
        ("uname -x; echo $?", "uname: invalid option -- 'x'\n1\n", None),
        ("cat /etc/hostname", "board\n", None),
        ("cat hello.txt", "Hello from Test OS 5\n", None),
        ("cat /nope; echo $?", "cat: can't open '/nope': No such file or directory\n1\n", None),
        ("true; echo $?", "0\n", None),
        ("false; echo $?", "1\n", None),
        ("false || echo $USER@$HOSTNAME", "root@board\n", None),
        ("echo -n a; echo b", "ab\n", None),
        ("nosuch; echo $?", "sh: nosuch: not found\n127\n", None),
        ("ls /", "bin  etc  proc  root\n", None),
        ("ls", "hello.txt\n", None),
        ("ls -l /etc", "hostname  os-release\n", None),
        ("ls /etc/hostname", "/etc/hostname\n", None),
        ("ls /nope; echo $?", "ls: /nope: No such file or directory\n1\n", None),
        ("pwd && whoami && id", "/root\nroot\nuid=0(root) gid=0(root) groups=0(root)\n", None),
        ("echo 'open", "sh: syntax error: unterminated quoted string\n", None),
        ("/bin/hostname", "board\n", None),
        ("exit; echo never", "", shell.Act.LOGOUT),
        ("poweroff; echo never", "", shell.Act.POWEROFF),
        ("reboot", "", shell.Act.REBOOT),
    ],
)
def test_shell(line: str, text: str, act: shell.Act | None) -> None:
    session = shell.Shell(Image(name="Test OS", version="5", kernel="6.6.6"), "board")
    assert session.run(line) == Answer(text, act)


def test_status_lasts_from_line_to_line() -> None:
    session = shell.Shell(Image(), "board")
    session.run("false")
    assert session.run("echo $?").text == "1\n"
    assert session.run("echo $?").text == "0\n"


def test_os_release_names_the_image() -> None:
    session = shell.Shell(Image(name="Test OS", version="5"), "board")
    assert session.run("cat /etc/os-release").text.splitlines() == [
        'NAME="Test OS"',
        'VERSION="5"',
        "ID=test-os",
        "VERSION_ID=5",
        'PRETTY_NAME="Test OS 5"',
    ]


def test_every_program_that_ls_shows_runs() -> None:
    session = shell.Shell(Image(), "board")
    for name in session.run("ls /bin").text.split():
        assert "not found" not in session.run(name).text
