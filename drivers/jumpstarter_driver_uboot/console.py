"""U-Boot's prompt on a serial line: catching it, and running commands at it.

A prompt is what the line ends with when it falls silent: at the beginning of a line, or behind an answer without a line end. The
same text followed by more is a part of an answer. What was sent before has to be seen first: U-Boot echoes each command, and
every command here is sent when the answer to the last one has ended.
"""

from __future__ import annotations

import re
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING

from jumpstarter.common.exceptions import DriverError
from jumpstarter.common.interrupts import result_of
from jumpstarter.streams.matching import Matcher
from jumpstarter.streams.screen import as_lines
from jumpstarter.streams.unread import NotFound, NothingMoreComes

from .common import LineEnded, UbootError, UbootTimeout

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .line import Line

#: Seconds that each attempt to catch the prompt waits. Shorter than U-Boot's shortest boot delay of one
#: second.
ATTEMPT = 0.5
#: Seconds for U-Boot to echo a command that was typed, at least.
ECHO_TIMEOUT = 10
#: Seconds of silence behind a prompt.
SILENCE = 0.1
#: Drops what was typed. Harmless wherever it arrives, unlike an empty line, which could repeat the last command.
INTERRUPT = "\x03"
#: How much of the console an error shows, and how much of its end is looked at for the prompt.
_EXCERPT = 300
_TAIL = 1024


class Prompt:
    """U-Boot's prompt *prompt* on *line*."""

    def __init__(self, line: Line, prompt: str) -> None:
        self._line = line
        self._text = prompt.strip("\r\n ")

    def catch(self, retries: int, stop: str = INTERRUPT, starting: Future[None] | None = None) -> None:
        """Type *stop* again and again until the prompt is there, *retries* times at `ATTEMPT` seconds each.

        The line is opened when it is there, and again when it has ended. Attempts count from when *starting*, the board's
        power coming on, is over. Raises `UbootTimeout` with the last of what the board wrote, or what *starting* has raised.
        """
        trouble, left = "", retries
        while left:
            left -= _is_over(starting)
            try:
                self._press(stop)
                if self._wait_for_prompt(ATTEMPT):
                    return self._settle(stop)
            except LineEnded:
                trouble = "the serial line ended in between; "
            except DriverError as error:
                trouble = f"the serial line could not be opened: {error}; "
                self._line.text.wait_beyond(self._line.text.received, monotonic() + ATTEMPT, closed=True)
        raise UbootTimeout(
            f"no U-Boot prompt {self._text!r} after {retries} attempts ({retries * ATTEMPT:g} s); "
            f"{trouble}{self._last_words()}; check prompt, autoboot_stop, power and serial driver"
        )

    def run(self, command: str, timeout: float) -> bytes:
        """Run *command* and return what it wrote.

        Raises `UbootTimeout` when the prompt is not back within *timeout* seconds, ValueError for a command
        of several lines.
        """
        if re.search(r"[\x00-\x1f\x7f]", command):
            raise ValueError(f"found {command!r}, expected a command of one line without control characters")
        self._line.text.take()
        self._line.send(f"{command}\r")
        patience = max(ECHO_TIMEOUT, timeout)
        if not self._seen(f"{command}\n", patience):
            wrote = _shown(self._line.text.peek())
            raise UbootTimeout(f"U-Boot did not echo `{command}` within {patience:g} s; it wrote {wrote}")
        if not self._wait_for_prompt(timeout):
            wrote = _shown(self._line.text.take())
            self._line.send(INTERRUPT)
            self._wait_for_prompt(ATTEMPT)
            raise UbootTimeout(
                f"`{command}` did not end within {timeout} s; it wrote {wrote}; allow it a longer timeout"
            )
        return _before(self._line.text.take(), self._text.encode())

    def _press(self, stop: str) -> None:
        self._line.open()
        self._line.send(stop)

    def _settle(self, stop: str) -> None:
        """Leave no prompt of an earlier key press unread: the answer to a question that no boot log holds
        ends them.
        """
        for _ in range(3):
            if stop != INTERRUPT:
                # A key or a word that stops the countdown is only typed text at the prompt.
                self._line.send(INTERRUPT)
                self._wait_for_prompt(ATTEMPT)
            mark = f"ready-{token_hex(4)}"
            self._line.send(f"echo {mark}\r")
            if self._seen(f"\n{mark}\n") and self._wait_for_prompt(ECHO_TIMEOUT):
                self._line.text.take()
                return
        raise UbootError(
            f"the prompt {self._text!r} came and then U-Boot did not answer `echo`; is it U-Boot's?"
        )

    def _seen(self, text: str, patience: float = ECHO_TIMEOUT) -> bool:
        """Wait for *text*, and take what came up to it. Raises `LineEnded` when the line has ended."""
        try:
            self._line.text.take_until(Matcher(text), patience)
        except NothingMoreComes:
            raise LineEnded(f"the serial line ended; {self._last_words()}") from None
        except NotFound:
            return False
        return True

    def _wait_for_prompt(self, timeout: float) -> bool:
        """Wait until the line falls silent behind a prompt. Raises `LineEnded` when it has ended."""
        text = self._line.text
        deadline = monotonic() + timeout
        while True:
            received = text.received
            if self._at_prompt() and text.wait_quiet(SILENCE, 2 * SILENCE) and text.received == received:
                return True
            if text.ended is not None:
                raise LineEnded(f"the serial line ended; {self._last_words()}")
            if monotonic() >= deadline:
                return False
            text.wait_beyond(received, deadline)

    def _at_prompt(self) -> bool:
        text = self._line.text
        return as_lines(text.peek(text.received - _TAIL)).rstrip(" ").endswith(self._text)

    def _last_words(self) -> str:
        said = self._line.text.peek()
        return (
            f"the console's last words were {_shown(said)}" if said else "nothing came from the serial line"
        )


def _is_over(starting: Future[None] | None) -> bool:
    """Whether the power is on. Raises what switching it on has raised."""
    if starting is None or not starting.done():
        return starting is None
    result_of(starting)
    return True


def _before(output: bytes, prompt: bytes) -> bytes:
    """What was written before the prompt that ends *output*."""
    return output[: max(0, output.rfind(prompt))].removesuffix(b"\n")


def _shown(output: bytes | None) -> str:
    text = as_lines(output or b"")[-_EXCERPT:].strip()
    return repr(text) if text else "nothing"
