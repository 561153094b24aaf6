"""How a signal ends a command: by an exception in the main thread, so that every `with` of the command is left properly.

An event loop of the command's own (`anyio.run` in a driver's command) must not meet that exception between two of its lines:
a callback that it has just taken would be lost, and with it a task that then never ends. So while a loop runs in the main
thread the exception is raised by a callback of the loop, which cancels its tasks. A loop that takes no callback is in the
command's code, and is left there. What does not end after all that is ended.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
from contextlib import suppress
from time import sleep
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

#: Seconds that a loop has to take a callback.
LOOP_PATIENCE: Final = 1.0
#: Seconds that a loop, or the interpreter, has to end.
END_PATIENCE: Final = 10.0
_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Ending:
    """The exit code of the first signal that came; whether a loop has been asked to raise, and has not raised yet."""

    code: int | None = None
    asked = False
    pending = False


_ending: Final = _Ending()


def end_in_silence() -> None:
    """Have SIGINT, SIGTERM and SIGHUP end the process there and then: nothing was begun yet, or nothing is left to do."""
    for number in _NUMBERS:
        if signal.getsignal(number) in (terminate, signal.default_int_handler):
            signal.signal(number, signal.SIG_DFL)


def handle_signals() -> None:
    """Have SIGINT, SIGTERM and SIGHUP end the command in good order, but those that are ignored, as under nohup."""
    for number in _NUMBERS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, terminate)


def terminate(number: int, frame: FrameType | None) -> None:
    """Signal handler: raises KeyboardInterrupt for SIGINT, else SystemExit with code 128 + *number*."""
    _ending.code = _ending.code or 128 + number
    # What a loop of the command says of tasks that this exception meets is a consequence, with a traceback for each.
    if (logging := sys.modules.get("logging")) is not None:
        with suppress(AttributeError):  # half loaded
            logging.getLogger("asyncio").disabled = True
    error = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
    loop = _running_loop()
    if loop is None or _ending.asked:  # a second signal is one of a user in a hurry, or ours
        _ending.pending = False
        raise error
    _ending.asked = _ending.pending = True
    _ask(loop, error, number)


def end_soon() -> int | None:
    """To be called when a command has ended: after a signal, threads that nobody ends do not keep the process for long.

    Returns the exit code where the command has not seen the exception of the signal, else None.
    """
    end_in_silence()
    if _ending.code is not None:
        _thread.start_new_thread(_end_after, (END_PATIENCE, _ending.code))
    return _ending.code if _ending.pending else None


def _running_loop() -> AbstractEventLoop | None:
    # It may be no more than half loaded at this moment, and then runs no loop.
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return None if running is None else running()  # type: ignore[no-any-return]


def _ask(loop: AbstractEventLoop, error: BaseException, number: int) -> None:
    """Have *loop* raise *error*, and interrupt what it is busy with if it does not."""

    def end() -> NoReturn:
        _ending.pending = False
        raise error

    with suppress(RuntimeError):  # it was closed at this moment: `end_soon` tells
        loop.call_soon_threadsafe(end)
    _thread.start_new_thread(_insist, (number,))


def _insist(number: int) -> None:
    import threading  # which every loop has loaded, and other commands may do without

    sleep(LOOP_PATIENCE)
    if _ending.pending:
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    _end_after(END_PATIENCE, 128 + number)


def _end_after(seconds: float, code: int) -> None:
    sleep(seconds)
    os._exit(code)
