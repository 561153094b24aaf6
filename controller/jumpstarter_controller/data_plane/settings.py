"""What the data plane is told at its start."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from jumpstarter.common.addresses import join_address, split_address

from jumpstarter_controller.data import DataDirectory
from jumpstarter_controller.identity.authority import Authority, own_names
from jumpstarter_controller.identity.certificates import CertificateFiles, CertificateSource, OwnCertificate
from jumpstarter_controller.settings import JOINT_OFFSET, ControllerSettings

#: The version of `wire`: a process that speaks another one cannot be taken over.
PROTOCOL: Final = 1


@dataclass(frozen=True)
class PlaneSettings:
    """Where to listen and how to be known.

    Attributes:
        folder: the lab's data directory.
        listen: HOST:PORT of the router.
        joint: HOST:PORT of the joint; None is at the router's port and `JOINT_OFFSET`, "" is none.
        hosts: what the lab's own certificate is valid for.
        certificate, key, ca: PEM files in place of it.
    """

    folder: str
    listen: str
    joint: str | None
    hosts: tuple[str, ...] = ()
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None

    @classmethod
    def of(cls, settings: ControllerSettings) -> PlaneSettings:
        """Those of a lab with *settings*."""
        tls = settings.tls
        files = [str(path.absolute()) if path else None for path in (tls.certificate, tls.key, tls.ca)]
        hosts = () if tls.certificate else tuple(sorted(certificate_hosts(settings)))
        folder = str(settings.dataDirectory)
        return cls(folder, settings.router.listen, settings.router.joint.listen, hosts, *files)

    @property
    def data(self) -> DataDirectory:
        """The lab's data directory."""
        return DataDirectory(Path(self.folder))

    def certificates(self) -> CertificateSource:
        """What to present. Raises ConfigurationError, FileAccessError."""
        if self.certificate is not None and self.key is not None:
            return CertificateFiles(
                Path(self.certificate), Path(self.key), Path(self.ca) if self.ca else None
            )
        return OwnCertificate(Authority.open(self.data.authority), frozenset(self.hosts))

    def joint_address(self, router_port: int) -> str:
        """Where the joint listens. The same port after every start: clients come back to it."""
        usual = join_address(split_address(self.listen)[0], (router_port + JOINT_OFFSET) % 65536)
        return usual if self.joint is None else self.joint

    def fingerprint(self) -> str:
        """What a process must have been started with to be as good as a new one, but for its addresses: key, names, version."""
        names = (self.hosts, self.certificate, self.key, self.ca)
        told = json.dumps(
            [PROTOCOL, version("robotframework-jumpstarter"), self.data.router_key().decode(), names]
        )
        return hashlib.sha256(told.encode()).hexdigest()

    def fits(self, host: str, router_port: int, joint_port: int) -> bool:
        """Whether a process that listens on those ports of *host* is where these settings want it."""
        wanted_host, wanted = split_address(self.listen)
        if host != wanted_host or wanted not in (0, router_port):
            return False
        address = self.joint_address(router_port)
        joint = split_address(address)[1] if address else 0
        # Without a setting there may be no joint, if its port was taken.
        return joint == joint_port or (self.joint is None and not joint_port) or bool(address and not joint)

    def at(self, router_port: int) -> PlaneSettings:
        """The same, at that port."""
        return replace(self, listen=join_address(split_address(self.listen)[0], router_port))

    def to_json(self) -> str:
        """All of it, for `from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> PlaneSettings:
        """What `to_json` gave."""
        values = json.loads(text)
        return cls(**{**values, "hosts": tuple(values["hosts"])})


def certificate_hosts(settings: ControllerSettings) -> set[str]:
    """The names under which a lab with *settings* is reached."""
    hosts = {split_address(endpoint)[0] for endpoint in settings.endpoints}
    for address in (settings.listen, settings.router.listen, settings.router.endpoint):
        if address and (host := split_address(address)[0]) not in ("::", "0.0.0.0"):
            hosts.add(host)
    return own_names() | hosts
