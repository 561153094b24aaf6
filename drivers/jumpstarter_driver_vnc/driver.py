"""The exporter's side of the VNC driver."""

from __future__ import annotations

from dataclasses import dataclass

from jumpstarter.common.exceptions import ConfigurationError
from jumpstarter.driver import export
from jumpstarter_driver_composite.driver import Composite

__all__ = ["Vnc"]


@dataclass(kw_only=True)
class Vnc(Composite):
    """A VNC server, which the child ``tcp`` (a network driver) reaches.

    Args:
        default_encrypt: whether clients use ``wss://`` to noVNC when they do not say
    """

    default_encrypt: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if "tcp" not in self.children:
            raise ConfigurationError(
                "Vnc: no child 'tcp'; give it under children:, a TcpNetwork for the VNC server"
            )

    @classmethod
    def client(cls) -> str:
        return "jumpstarter_driver_vnc.client.VNClient"

    @export
    def get_default_encrypt(self) -> bool:
        """Whether clients use ``wss://`` when they do not say."""
        return self.default_encrypt
