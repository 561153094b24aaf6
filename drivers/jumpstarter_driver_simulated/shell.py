"""The login shell of a simulated board: a few commands over files that do not change.

`Shell.run` is a function of the line, the files and the status of the last command; it does no I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from .commandline import CommandLine
from .image import Image

PROMPT = "# "
MACHINE = "aarch64"
BUILD = "#1 SMP PREEMPT"
_PROGRAMS = (
    "cat",
    "echo",
    "exit",
    "false",
    "halt",
    "help",
    "hostname",
    "id",
    "logout",
    "ls",
    "poweroff",
    "pwd",
    "reboot",
    "true",
    "uname",
    "whoami",
)


class Act(enum.Enum):
    """What a command asks of the machine, besides its output."""

    LOGOUT = enum.auto()
    POWEROFF = enum.auto()
    REBOOT = enum.auto()


def files_of(image: Image, hostname: str, bootargs: str) -> dict[str, str]:
    """The files of a booted system: path to content."""
    identity = image.name.lower().replace(" ", "-")
    return {
        "/etc/hostname": f"{hostname}\n",
        "/etc/os-release": (
            f'NAME="{image.name}"\nVERSION="{image.version}"\nID={identity}\n'
            f'VERSION_ID={image.version}\nPRETTY_NAME="{image.name} {image.version}"\n'
        ),
        "/proc/cmdline": f"{bootargs}\n",
        "/proc/version": f"Linux version {image.kernel} (builder@simulated) {BUILD}\n",
        "/root/hello.txt": f"Hello from {image.name} {image.version}\n",
        **{f"/bin/{program}": "" for program in _PROGRAMS},
    }


class Shell(CommandLine[Act]):
    """One login session.

    Args:
        image: names the system and its kernel.
        hostname: the board's name.
        bootargs: the kernel's command line.
    """

    unbalanced = (2, "sh: syntax error: unterminated quoted string\n")

    def __init__(self, image: Image, hostname: str, bootargs: str = "") -> None:
        super().__init__({"HOME": "/root", "USER": "root", "PWD": "/root", "HOSTNAME": hostname})
        self._image = image
        self._hostname = hostname
        self._files = files_of(image, hostname, bootargs)
        self.commands = {
            "cat": self._cat,
            "echo": self._echo,
            "exit": lambda _: self.ask(Act.LOGOUT),
            "false": lambda _: ("", 1),
            "halt": lambda _: self.ask(Act.POWEROFF),
            "help": lambda _: (" ".join(_PROGRAMS) + "\n", 0),
            "hostname": lambda _: (f"{hostname}\n", 0),
            "id": lambda _: ("uid=0(root) gid=0(root) groups=0(root)\n", 0),
            "logout": lambda _: self.ask(Act.LOGOUT),
            "ls": self._ls,
            "poweroff": lambda _: self.ask(Act.POWEROFF),
            "pwd": lambda _: ("/root\n", 0),
            "reboot": lambda _: self.ask(Act.REBOOT),
            "true": lambda _: ("", 0),
            "uname": self._uname,
            "whoami": lambda _: ("root\n", 0),
        }

    def find(self, name: str) -> Callable[[list[str]], tuple[str, int]] | None:
        """The command *name*, also by its path."""
        return super().find(name.removeprefix("/bin/"))

    def unknown(self, name: str) -> tuple[str, int]:
        """What a shell says."""
        return f"sh: {name}: not found\n", 127

    def _echo(self, words: list[str]) -> tuple[str, int]:
        if words[:1] == ["-n"]:
            return " ".join(words[1:]), 0
        return " ".join(words) + "\n", 0

    def _cat(self, paths: list[str]) -> tuple[str, int]:
        text, status = "", 0
        for path in paths:
            content = self._files.get(self._absolute(path))
            if content is None:
                text, status = text + f"cat: can't open '{path}': No such file or directory\n", 1
            else:
                text += content
        return text, status

    def _ls(self, words: list[str]) -> tuple[str, int]:
        paths = [word for word in words if not word.startswith("-")] or ["."]
        text, status = "", 0
        for path in paths:
            absolute = self._absolute(path)
            below = absolute.rstrip("/") + "/"
            names = {name[len(below) :].split("/")[0] for name in self._files if name.startswith(below)}
            if absolute in self._files:
                text += f"{path}\n"
            elif names:
                text += "  ".join(sorted(names)) + "\n"
            else:
                text, status = text + f"ls: {path}: No such file or directory\n", 1
        return text, status

    def _absolute(self, path: str) -> str:
        if path in (".", "~"):
            return "/root"
        return path if path.startswith("/") else f"/root/{path.removeprefix('./')}"

    def _uname(self, words: list[str]) -> tuple[str, int]:
        fields = {
            "s": "Linux",
            "n": self._hostname,
            "r": self._image.kernel,
            "v": BUILD,
            "m": MACHINE,
            "o": "GNU/Linux",
        }
        letters = "".join(word.removeprefix("-") for word in words) or "s"
        letters = "".join(fields) if "a" in letters else letters
        wrong = [letter for letter in letters if letter not in fields]
        if wrong:
            return f"uname: invalid option -- '{wrong[0]}'\n", 1
        return " ".join(value for letter, value in fields.items() if letter in letters) + "\n", 0
