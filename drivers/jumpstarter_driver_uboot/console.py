"""U-Boot's prompt on a serial line: catching it, and running commands at it.

`Prompt` knows the dialogue and nothing of drivers: it works on any pexpect session of bytes.

A prompt is only taken for one at the beginning of a line, and only when what was sent before it has been
seen: U-Boot echoes each command, and every command here is sent when the answer to the last one has ended.
"""

from __future__ import annotations

import re
from secrets import token_hex
from typing import Any

from .common import UbootError, UbootTimeout

#: Seconds that each attempt to catch the prompt waits. Shorter than U-Boot's shortest boot delay of one
#: second.
ATTEMPT = 0.5
#: Seconds for U-Boot to echo a command that was typed.
ECHO_TIMEOUT = 10
_INTERRUPT = b"\x03"
#: How much of the console an error shows.
_EXCERPT = 300


class Prompt:
    """U-Boot's prompt *prompt* on the pexpect session *session* (of bytes)."""

    def __init__(self, session: Any, prompt: str) -> None:
        self._session = session
        self._text = prompt.strip("\r\n")
        self._pattern = re.compile(rb"(?:^|[\r\n])" + re.escape(self._text.encode()) + rb" ?")

    def catch(self, retries: int) -> None:
        """Press a key again and again until the prompt is there, *retries* times at `ATTEMPT` seconds each.

        Raises `UbootTimeout` with the last of what the board wrote.
        """
        seen = b""
        for _ in range(retries):
            # Any key stops U-Boot's countdown. This one is harmless wherever it arrives: at U-Boot's prompt,
            # where an empty line could repeat the last command, it drops what was typed.
            self._session.send(_INTERRUPT)
            found, output = self._expect(self._pattern, ATTEMPT)
            if found:
                return self._settle()
            seen = (output or seen)[-_EXCERPT:]
        wrote = (
            f"the console's last words were {_shown(seen)}" if seen else "nothing came from the serial line"
        )
        raise UbootTimeout(
            f"no U-Boot prompt {self._text!r} after {retries} attempts ({retries * ATTEMPT:g} s); {wrote}; "
            "check prompt, power and serial driver"
        )

    def run(self, command: str, timeout: float) -> bytes:
        """Run *command* and return what it wrote.

        Raises `UbootTimeout` when the prompt is not back within *timeout* seconds, ValueError for a command
        of several lines.
        """
        if re.search(r"[\x00-\x1f\x7f]", command):
            raise ValueError(f"found {command!r}, expected a command of one line without control characters")
        typed = command.encode()
        self._session.send(typed + b"\r")
        echoed, _ = self._expect(re.compile(re.escape(typed) + rb"\r*\n"), ECHO_TIMEOUT)
        if not echoed:
            raise UbootTimeout(
                f"U-Boot did not echo `{command}` within {ECHO_TIMEOUT} s; "
                f"it wrote {_shown(self._session.before)}"
            )
        return self._answer(command, timeout)

    def _answer(self, command: str, timeout: float) -> bytes:
        # An answer without a line end of its own would hide the prompt from a pattern that wants the line's
        # beginning; U-Boot's commands end their lines, and a void answer leaves the prompt at the beginning
        # of what is read.
        found, output = self._expect(self._pattern, timeout)
        if not found:
            self._session.send(_INTERRUPT)
            raise UbootTimeout(
                f"`{command}` did not end within {timeout} s; it wrote {_shown(output)}; "
                "allow it a longer timeout"
            )
        return output

    def _settle(self) -> None:
        """Leave no prompt of an earlier key press unread: the answer to a question that no boot log holds
        ends them.
        """
        for _ in range(3):
            mark = f"ready-{token_hex(4)}"
            self._session.send(f"echo {mark}\r".encode())
            answered, _ = self._expect(re.compile(rb"[\r\n]" + mark.encode() + rb"\r*\n"), ECHO_TIMEOUT)
            if answered and self._expect(self._pattern, ECHO_TIMEOUT)[0]:
                return
        raise UbootError(
            f"the prompt {self._text!r} came and then U-Boot did not answer `echo`; is it U-Boot's?"
        )

    def _expect(self, pattern: re.Pattern[bytes], timeout: float) -> tuple[bool, bytes]:
        """Wait for *pattern*: whether it came, and what was written before it.

        Raises `UbootError` when the serial line ended.
        """
        import pexpect

        index = self._session.expect([pattern, pexpect.TIMEOUT, pexpect.EOF], timeout=timeout)
        output = bytes(self._session.before or b"")
        if index == 2:
            raise UbootError(f"the serial line ended; the console's last words were {_shown(output)}")
        return index == 0, output


def _shown(output: bytes | None) -> str:
    text = (output or b"")[-_EXCERPT:].decode(errors="replace").strip()
    return repr(text) if text else "nothing"
