"""Adapters: a driver client's stream in another form. Each is a context manager that takes the client first.

========================  ==========================================================
`TcpPortforwardAdapter`   a local TCP port: ``(host, port)``
`UnixPortforwardAdapter`  a local unix socket: its path
`PexpectAdapter`          a pexpect session
`FabricAdapter`           a fabric SSH connection (extra ``network``)
`NovncAdapter`            a URL of the noVNC viewer (extra ``network``)
`DbusAdapter`             a bus address, set in the environment
========================  ==========================================================
"""

from .dbus import DbusAdapter
from .fabric import FabricAdapter
from .novnc import NovncAdapter
from .pexpect import PexpectAdapter
from .portforward import TcpPortforwardAdapter, UnixPortforwardAdapter

__all__ = [
    "DbusAdapter",
    "FabricAdapter",
    "NovncAdapter",
    "PexpectAdapter",
    "TcpPortforwardAdapter",
    "UnixPortforwardAdapter",
]
