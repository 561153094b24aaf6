"""What boards say after the last test: Robot takes no log messages then, so it goes where else a reader of the log looks.

That is the metadata of the suite that has ended, or after the last suite a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from robot.api import logger

from .aliases import Aliases


def end_consoles(sessions: Aliases) -> None:
    """Close the consoles of all connections, as no keyword comes any more. What they have said stays."""
    for session in sessions:
        session.consoles.end()


def note_in_suite(sessions: Aliases, result: Any) -> None:
    """Put what nobody has read and the log has not into the metadata of *result*, a suite's."""
    for title, text in _unlogged(sessions):
        # The bar keeps Robot from taking the text for its own markup.
        result.metadata[title] = "\n".join(f"| {line}" for line in text.splitlines())


def warn_of_unlogged(sessions: Aliases) -> None:
    """Warn of what was said since the last suite has ended: there is no other place for it in the log."""
    for title, text in _unlogged(sessions):
        logger.warn(f"{title}:\n{text}")


def _unlogged(sessions: Aliases) -> Iterator[tuple[str, str]]:
    """A title and a text for each console that has said something that the log has not."""
    for session in sessions:
        for name, text in session.consoles.unlogged().items():
            yield f"{name} said after the last test", text
