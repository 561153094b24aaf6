"""What ``jmp controller run --config FILE`` may say. Everything has a default: a lab runs without any file.

Names are those of stock Jumpstarter's configuration where it has the same thing. Unknown keys are errors.
"""

from __future__ import annotations

import builtins
import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from jumpstarter.common.exceptions import ConfigurationError, FileNotFoundError
from jumpstarter.config.common import CONFIG_API_VERSION
from jumpstarter.config.fields import to_plain
from jumpstarter.config.loader import Problems, describe, display_path, parse_yaml, read_file
from jumpstarter.config.schema import convert_fields

CONTROLLER_PORT: Final = 8082
ROUTER_PORT: Final = 8083
#: The joint's port without a setting is so much above that of the router.
JOINT_OFFSET: Final = 4
LOGIN_PORT: Final = 8086
KIND: Final = "ControllerConfig"


def default_data_directory() -> Path:
    """$XDG_STATE_HOME/jumpstarter/controller, else ~/.local/state/jumpstarter/controller."""
    base = os.environ.get("XDG_STATE_HOME")
    # A relative XDG path is to be ignored (XDG base directory specification).
    home = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return home / "jumpstarter" / "controller"


@dataclass(kw_only=True)
class TlsSettings:
    """Certificate and key (PEM files, read again when they change) in place of the lab's own; *ca* signed them."""

    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None


@dataclass(kw_only=True)
class LoginSettings:
    """The small HTTP service that tells ``jmp login`` where the lab is; *listen* '' leaves it out."""

    listen: str = f"[::]:{LOGIN_PORT}"


@dataclass(kw_only=True)
class OtherRouter:
    """A router in a process of its own, and which exporters it is for (labels; none: any)."""

    endpoint: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class JointSettings:
    """Where connections are joined that have TLS from end to end; *listen* '' leaves it out.

    None: at the router's address, with a port that is 4 above; and there is none if that is taken.
    """

    listen: str | None = None
    endpoint: str | None = None


@dataclass(kw_only=True)
class RouterSettings:
    """The router inside the controller (*listen* '' leaves it out), its *joint*, and *others* by name."""

    listen: str = f"[::]:{ROUTER_PORT}"
    endpoint: str | None = None
    joint: JointSettings = field(default_factory=JointSettings)
    others: dict[str, OtherRouter] = field(default_factory=dict)


@dataclass(kw_only=True)
class InternalTokens:
    """Tokens that the controller issues."""

    tokenLifetime: timedelta = field(  # noqa: N815 - the name in the file
        default=timedelta(days=365), metadata={"above": timedelta(0)}
    )


@dataclass(kw_only=True)
class UpstreamTokens:
    """Accept the tokens of a stock installation: its CONTROLLER_KEY, as text or in a file."""

    controllerKey: str | None = field(default=None, repr=False)  # noqa: N815 - the name in the file
    controllerKeyFile: Path | None = None  # noqa: N815 - the name in the file


@dataclass(kw_only=True)
class Authentication:
    """How callers are known."""

    internal: InternalTokens = field(default_factory=InternalTokens)
    upstream: UpstreamTokens = field(default_factory=UpstreamTokens)


@dataclass(kw_only=True)
class LeasePolicy:
    """Limits of leases: tags of one lease, how long ended ones are kept, and waiting ones that nobody waits for."""

    maxTags: int = field(default=10, metadata={"minimum": 0})  # noqa: N815 - the name in the file
    keepEnded: timedelta = field(  # noqa: N815 - the name in the file
        default=timedelta(days=30), metadata={"minimum": timedelta(0)}
    )
    waiterGrace: timedelta = field(  # noqa: N815 - the name in the file
        default=timedelta(minutes=1), metadata={"minimum": timedelta(0)}
    )
    spotNotice: timedelta = field(  # noqa: N815 - the name in the file
        default=timedelta(minutes=1), metadata={"minimum": timedelta(0)}
    )


@dataclass(kw_only=True)
class HiddenLabels:
    """Label keys that are not shown; selectors may use them all the same."""

    keys: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class DeprecatedLabels:
    """Label keys that are hidden and, where used, told with a message."""

    keys: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class ControllerSettings:
    """All of it.

    *endpoints* are the HOST:PORT under which clients and exporters reach the controller, the first one is written into
    their configurations; *namespace* is the one that commands use when they name none; *reflection* answers questions
    about the services without authentication.
    """

    apiVersion: Literal["jumpstarter.dev/v1alpha1"] = field(  # noqa: N815 - the name in the file
        default=CONFIG_API_VERSION, metadata={"keep": True}
    )
    kind: Literal["ControllerConfig"] = field(default=KIND, metadata={"keep": True})
    dataDirectory: Path = field(default_factory=default_data_directory)  # noqa: N815 - the name in the file
    namespace: str = "default"
    listen: str = f"[::]:{CONTROLLER_PORT}"
    endpoints: list[str] = field(default_factory=list)
    router: RouterSettings = field(default_factory=RouterSettings)
    login: LoginSettings = field(default_factory=LoginSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    authentication: Authentication = field(default_factory=Authentication)
    leasePolicy: LeasePolicy = field(default_factory=LeasePolicy)  # noqa: N815 - the name in the file
    hiddenLabels: HiddenLabels = field(default_factory=HiddenLabels)  # noqa: N815 - the name in the file
    deprecatedLabels: DeprecatedLabels = field(default_factory=DeprecatedLabels)  # noqa: N815 - the name in the file
    reflection: bool = False

    @classmethod
    def from_file(cls, path: Path) -> ControllerSettings:
        """Read *path*. Raises FileNotFoundError, FileAccessError, ConfigurationError with all problems, a line each."""
        problems = Problems(display_path(path))
        try:
            text = read_file(path)
        except builtins.FileNotFoundError:
            raise FileNotFoundError(f"controller config file '{path}' does not exist") from None
        root = parse_yaml(text, problems)
        if root is None:
            if not problems:
                problems.add(1, (), f"the file is empty; expected a mapping with kind: {KIND}")
            problems.raise_if_any()
            raise AssertionError("unreachable")
        if not root.is_mapping:
            problems.add(root, (), f"found {describe(root)}; expected a mapping with kind: {KIND}")
            problems.raise_if_any()
        values = convert_fields(cls, root, (), problems)
        problems.raise_if_any()
        settings = cls(**values)
        settings.check(problems.file)
        return settings

    def check(self, source: str = "command line") -> None:
        """Raise ConfigurationError for values that do not go together, or addresses that are none."""
        problems = Problems(source)
        for where, address in self._addresses():
            if not _is_address(address):
                problems.add(
                    0, (), f"{where}: found '{address}'; expected HOST:PORT, such as 'lab.example.com:8082'"
                )
        if (self.tls.certificate is None) != (self.tls.key is None):
            problems.add(0, (), "tls: certificate and key belong together; give both or none")
        if self.tls.ca is not None and self.tls.certificate is None:
            problems.add(0, (), "tls.ca: of no use without tls.certificate and tls.key")
        if not self.router.listen and not self.router.others:
            problems.add(
                0, (), "router: listen is empty and there are no others; clients could not reach a board"
            )
        if not self.router.listen and self.router.joint.listen:
            problems.add(0, (), "router.joint.listen: of no use without router.listen")
        upstream = self.authentication.upstream
        if upstream.controllerKey is not None and upstream.controllerKeyFile is not None:
            problems.add(0, (), "authentication.upstream: give controllerKey or controllerKeyFile, not both")
        if problems:
            raise ConfigurationError("\n".join(line.replace(":0:", ":", 1) for line in problems.lines()))

    def _addresses(self) -> list[tuple[str, str]]:
        found = [("listen", self.listen)]
        found += [(f"endpoints[{index}]", endpoint) for index, endpoint in enumerate(self.endpoints)]
        found += [("router.listen", self.router.listen)] if self.router.listen else []
        found += [("router.endpoint", self.router.endpoint)] if self.router.endpoint else []
        joint = self.router.joint
        found += [("router.joint.listen", joint.listen)] if joint.listen else []
        found += [("router.joint.endpoint", joint.endpoint)] if joint.endpoint else []
        found += [("login.listen", self.login.listen)] if self.login.listen else []
        found += [
            (f"router.others.{name}.endpoint", other.endpoint) for name, other in self.router.others.items()
        ]
        return found

    def dump_yaml(self) -> str:
        """The file's text, without what has its default."""
        from jumpstarter.config.files import dump

        return dump(to_plain(self))


def _is_address(address: str) -> bool:
    host, _, port = address.rpartition(":")
    bare = ":" not in host or (host.startswith("[") and host.endswith("]"))
    return bool(host) and bare and port.isdecimal() and int(port) <= 65535
