"""OpenDAL's many-line errors, as Python's own in one line."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from jumpstarter.common.exceptions import ConfigurationError

__all__ = ["import_opendal", "one_line", "opendal_errors", "storage_errors"]

_INSTALL = "pip install 'robotframework-jumpstarter[opendal]'"


def import_opendal() -> Any:
    """The opendal library; raises `ConfigurationError` with the install command when it is absent."""
    try:
        import opendal
    except ImportError as error:
        raise ConfigurationError(f"the opendal library is not installed here: {_INSTALL}") from error
    return opendal


def one_line(error: BaseException) -> str:
    """What went wrong and the operating system's reason, without OpenDAL's context and backtrace."""
    text = str(error)
    found = re.search(r"=> (.*?)(?=\n|, source:|\Z)", text)
    reason = re.search(r"(?:Source:\s*|source: )(.*?)(?:\n|\Z)", text)
    what = found.group(1).strip() if found else text.strip().split("\n")[0]
    return f"{what}: {reason.group(1).strip()}" if reason and reason.group(1).strip() not in what else what


@contextmanager
def storage_errors(action: str) -> Generator[None, None, None]:
    """Turn OpenDAL's errors while *action* into Python's: OSError or a kind of it, NotImplementedError."""
    from opendal import exceptions

    kinds: dict[type[Exception], type[Exception]] = {
        exceptions.NotFound: FileNotFoundError,
        exceptions.PermissionDenied: PermissionError,
        exceptions.AlreadyExists: FileExistsError,
        exceptions.IsADirectory: IsADirectoryError,
        exceptions.NotADirectory: NotADirectoryError,
        exceptions.Unsupported: NotImplementedError,
    }
    try:
        yield
    except opendal_errors() as error:
        raise kinds.get(type(error), OSError)(f"{action}: {one_line(error)}") from None
    except OSError as error:
        # opendal's file objects raise these, with the same many lines inside.
        if "=>" not in str(error):
            raise
        raise type(error)(f"{action}: {one_line(error)}") from None


def opendal_errors() -> tuple[type[Exception], ...]:
    """All errors of the library; they have no base class in common."""
    from opendal import exceptions

    return tuple(
        one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, Exception)
    )
