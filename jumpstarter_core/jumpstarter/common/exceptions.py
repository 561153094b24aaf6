"""The error tree. Every error that a user of the product can meet is one of these.

::

    JumpstarterException
    ├── ArgumentError                   a command line argument is not valid
    ├── ConfigurationError              a configuration file, key or environment variable is not valid
    │   └── EnvironmentVariableNotSetError
    ├── ConnectionError                 no connection to an exporter or controller, or it broke
    │   ├── ExporterOfflineError        the exporter is known and offline
    │   └── ExporterUnreachableError    the exporter is leased and does not answer
    ├── FileAccessError                 a file cannot be read or written
    ├── FileNotFoundError               a file does not exist (also builtins.FileNotFoundError)
    ├── LeaseError                      a lease cannot be had, or was lost
    ├── MissingDriverError              a driver's client class is not installed or not allowed
    ├── ReauthenticationFailed          a token is no longer accepted and could not be renewed
    └── DriverError                     a driver call failed on the exporter (jumpstarter.client.core)
        ├── DriverMethodNotImplemented  the driver has no such method (also NotImplementedError)
        ├── DriverInvalidArgument       the driver refused an argument (also ValueError)
        └── ExporterNotReady            the exporter runs a hook or shuts down

`jumpstarter.common.errors` maps them to gRPC status codes, exit codes and one-line messages.
"""

from __future__ import annotations

import builtins
from typing import Any

from .secrets import mask


class JumpstarterException(Exception):
    """Base class of all errors of the product; not raised itself.

    ``raise SomeError("message") from cause`` keeps the cause, and ``str()`` shows it in one line, unless it is an error of
    gRPC: those have many lines, and whoever raises from one takes its details into the message. Tokens, passwords of URLs and
    private keys in a message are not kept: see `jumpstarter.common.secrets`.
    """

    def __init__(self, message: str = "") -> None:
        message = mask(message)
        super().__init__(message)
        self.message = message
        self._config: Any = None

    def __str__(self) -> str:
        if self.__cause__ is not None and not type(self.__cause__).__module__.startswith("grpc"):
            return mask(f"{self.message} (Caused by: {self.__cause__})")
        return self.message

    def add(self, text: str) -> None:
        """Add *text* to the message."""
        self.message = f"{self.message}; {text}"
        self.args = (self.message,)

    def set_config(self, config: Any) -> None:
        """Remember the client configuration in use when the error was raised."""
        self._config = config

    def get_config(self) -> Any:
        """The client configuration given to `set_config`, or None."""
        return self._config

    def print(self, message: str | None = None) -> None:
        """Print the error (or *message* in its place) to standard error, in one line."""
        import sys

        sys.stderr.write(f"Error: {message if message is not None else self}\n")


class ArgumentError(JumpstarterException):
    """Raised when a command line argument is not valid."""


class ConfigurationError(JumpstarterException):
    """Raised when a configuration file, one of its keys or an environment variable is not valid."""


class EnvironmentVariableNotSetError(ConfigurationError):
    """Raised when an environment variable that the call needs is not set."""


class ConnectionError(JumpstarterException):
    """Raised when a connection to an exporter or controller cannot be made, or breaks."""


class ExporterOfflineError(ConnectionError):
    """Raised when the exporter is known to the controller and offline."""


class ExporterUnreachableError(ConnectionError):
    """Raised when a leased exporter does not answer in time."""


class FileAccessError(JumpstarterException):
    """Raised when a file cannot be read or written."""


class FileNotFoundError(JumpstarterException, builtins.FileNotFoundError):
    """Raised when a file does not exist."""


class LeaseError(JumpstarterException):
    """Raised when a lease cannot be had (nothing matches, no access, waited too long), or was lost while in use."""


class ReauthenticationFailed(JumpstarterException):
    """Raised when a token is no longer accepted and could not be renewed."""


class MissingDriverError(JumpstarterException):
    """Raised when a driver's client class is not installed, or not on the list of allowed drivers.

    `class_path` is the dotted path that was asked for.
    """

    def __init__(self, message: str, class_path: str) -> None:
        super().__init__(message)
        self.class_path = class_path


class DriverError(JumpstarterException):
    """Raised when a driver call fails on the exporter.

    `remote_type` is the class name of the exporter's exception where the exporter tells it, else None.
    """

    def __init__(self, message: str = "", *, remote_type: str | None = None) -> None:
        super().__init__(message)
        self.remote_type = remote_type


class DriverMethodNotImplemented(DriverError, NotImplementedError):
    """Raised when the driver has no such method, or does not implement it."""


class DriverInvalidArgument(DriverError, ValueError):
    """Raised when the driver refuses an argument."""


class ExporterNotReady(DriverError):
    """Raised when the exporter's status does not allow driver calls (a hook failed, it shuts down)."""
