"""The boot prompt of a simulated board: a handful of commands as U-Boot has them, over an environment.

`BootPrompt.run` is a function of the line, the environment and the last command's status; it does no I/O.
"""

from __future__ import annotations

import enum

from .commandline import CommandLine

PROMPT = "=> "
VERSION = "U-Boot 2026.01-simulated"
DEFAULT_ENVIRONMENT = {
    "arch": "arm",
    "baudrate": "115200",
    "board": "simulated",
    "bootargs": "console=ttyS0,115200 root=/dev/mmcblk0p1",
    "bootcmd": "boot from mmc 0",
    "ethaddr": "52:54:00:12:34:56",
}
DHCP = {
    "ipaddr": "10.0.2.15",
    "netmask": "255.255.255.0",
    "gatewayip": "10.0.2.2",
    "serverip": "10.0.2.2",
    "dnsip": "10.0.2.3",
}
HELP = {
    "boot": "boot default, i.e., run 'bootcmd'",
    "dhcp": "boot image via network using DHCP/TFTP protocol",
    "echo": "echo args to console",
    "false": "do nothing, unsuccessfully",
    "help": "print command description/usage",
    "printenv": "print environment variables",
    "reset": "Perform RESET of the CPU",
    "saveenv": "save environment variables to persistent storage",
    "setenv": "set environment variables",
    "true": "do nothing, successfully",
    "version": "print monitor, compiler and linker version",
}


class Act(enum.Enum):
    """What a command asks of the machine, besides its output."""

    BOOT = enum.auto()
    RESET = enum.auto()


class BootPrompt(CommandLine[Act]):
    """One session at the boot prompt.

    Args:
        environment: the variables; commands change it in place.
    """

    unbalanced = (1, "syntax error\n")

    def __init__(self, environment: dict[str, str]) -> None:
        super().__init__(environment)
        self.environment = environment
        self.saved: dict[str, str] | None = None
        """The environment as it was at the last `saveenv`."""
        self.commands = {
            "boot": lambda _: self.ask(Act.BOOT),
            "dhcp": self._dhcp,
            "echo": lambda words: (" ".join(words) + "\n", 0),
            "false": lambda _: ("", 1),
            "help": self._help,
            "printenv": self._printenv,
            "reset": lambda _: self.ask(Act.RESET, "resetting ...\n"),
            "saveenv": self._saveenv,
            "setenv": self._setenv,
            "true": lambda _: ("", 0),
            "version": lambda _: (f"{VERSION}\n\naarch64-linux-gnu-gcc (simulated)\n", 0),
        }

    def unknown(self, name: str) -> tuple[str, int]:
        """What U-Boot says."""
        return f"Unknown command '{name}' - try 'help'\n", 1

    def _help(self, words: list[str]) -> tuple[str, int]:
        unknown = [word for word in words if word not in HELP]
        if unknown:
            return f"Unknown command '{unknown[0]}' - try 'help' without arguments\n", 1
        return "".join(f"{name:<10}- {HELP[name]}\n" for name in words or HELP), 0

    def _printenv(self, names: list[str]) -> tuple[str, int]:
        if not names:
            lines = [f"{name}={value}" for name, value in sorted(self.environment.items())]
            size = sum(len(line) + 1 for line in lines)
            return "\n".join([*lines, "", f"Environment size: {size}/65532 bytes", ""]), 0
        text, status = "", 0
        for name in names:
            if name in self.environment:
                text += f"{name}={self.environment[name]}\n"
            else:
                text, status = text + f'## Error: "{name}" not defined\n', 1
        return text, status

    def _setenv(self, words: list[str]) -> tuple[str, int]:
        if not words:
            return "setenv - set environment variables\n\nUsage:\nsetenv name [value ...]\n", 1
        name, *values = words
        if values:
            self.environment[name] = " ".join(values)
        else:
            self.environment.pop(name, None)
        return "", 0

    def _saveenv(self, _: list[str]) -> tuple[str, int]:
        self.saved = dict(self.environment)
        return "Saving Environment to MMC... Writing to MMC(0)... OK\n", 0

    def _dhcp(self, _: list[str]) -> tuple[str, int]:
        self.environment.update(DHCP)
        return f"BOOTP broadcast 1\nDHCP client bound to address {DHCP['ipaddr']} (4 ms)\n", 0
