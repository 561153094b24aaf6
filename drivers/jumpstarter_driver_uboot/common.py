"""What both sides of the U-Boot driver know."""

from __future__ import annotations

from dataclasses import dataclass

from jumpstarter.common.exceptions import JumpstarterException

DEFAULT_PROMPT = "=>"
DEFAULT_STOP = "ctrl-c"

KEYS = {"ctrl-c": "\x03", "esc": "\x1b", "escape": "\x1b", "space": " ", "enter": "\r", "tab": "\t"}
"""Names of keys that may stop the countdown."""


def typed(stop: str) -> str:
    """What is typed to stop the countdown: the key that *stop* names, or *stop* itself, a word or a password."""
    return KEYS.get(stop.lower(), stop)


class UbootError(JumpstarterException, RuntimeError):
    """Raised when U-Boot's prompt does not come, or a command at it fails."""


class UbootTimeout(UbootError, TimeoutError):
    """Raised when U-Boot does not answer in time."""


class LineEnded(UbootError):
    """Raised when the serial line has ended while U-Boot had it."""


@dataclass(frozen=True, kw_only=True)
class DhcpInfo:
    """What U-Boot got from the DHCP server; IPv4 addresses in dotted form. `gateway` is "" when there is
    none.
    """

    ip_address: str
    gateway: str
    netmask: str

    @property
    def cidr(self) -> str:
        """The address with the length of its network's prefix: ``10.0.2.15/24``."""
        from ipaddress import IPv4Interface

        return IPv4Interface(f"{self.ip_address}/{self.netmask}").with_prefixlen
