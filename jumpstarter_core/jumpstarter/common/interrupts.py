"""Exceptions of signal handlers, kept out of code that holds locks.

Python runs the handler of a signal in the main thread, between any two of its byte codes. One that raises (Ctrl-C, the
time-out of a test) leaves whatever runs there. In `threading.Condition.__exit__`, and so in anything that is built on it,
such as gRPC, events and futures, a lock is then held for ever: every later call waits for it. So what must hold is:

- The main thread is inside a `Shield` whenever it is in such code. Handlers run there as ever, but an exception of one
  waits for the end of the shield.
- A shield that waits names what ends the wait. Another thread calls that, as the main thread may hold the locks that it needs.
- Waits of our own are those of a `Flag`: a handler may leave them at any moment, within a shield and outside.

Other threads run no handlers: for them a shield does nothing.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself makes enums of numbers, at the cost of all the rest
import _thread
import importlib
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

#: Seconds after which the main thread, while it waits, looks for a signal by itself. One that comes in the moment between
#: Python's last look and the system's wait wakes nobody: its handler would run when the wait is over, perhaps never.
_SLICE: Final = 0.25

#: The signals whose handlers may raise. SIGKILL and SIGSTOP have none, those of faults end the process.
_NUMBERS: Final = tuple(
    int(number)
    for number in (
        signal.SIGINT,
        signal.SIGALRM,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGQUIT,
        signal.SIGVTALRM,
        signal.SIGPROF,
        signal.SIGCHLD,
        signal.SIGWINCH,
        signal.SIGCONT,
        signal.SIGTSTP,
    )
)
#: Makes the main thread look for an exception that waits. Nobody else uses it, and without a handler it has no effect.
_POKE: Final = int(signal.SIGURG)
#: Seconds between two pokes. gRPC looks for signals every 0.2 s while it waits.
_POKE_INTERVAL: Final = 0.05


class _MainThread:
    """What the main thread is in: `depth` shields, the innermost with `cancel`; `pending` waits for their end."""

    __slots__ = ("cancel", "depth", "interruptible", "pending", "saved")

    def __init__(self) -> None:
        self.depth = 0
        self.cancel: Callable[[], object] | None = None
        self.pending: BaseException | None = None
        self.interruptible = False
        self.saved: list[tuple[int, Any]] = []


_main: Final = _MainThread()


class _Handler:
    """Runs the handler of a signal, and keeps what it raises while the main thread is inside a shield."""

    __slots__ = ("handler",)

    def __init__(self, handler: Callable[[int, FrameType | None], Any]) -> None:
        self.handler = handler

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not _main.depth:
            self.handler(number, frame)
            return
        try:
            self.handler(number, frame)
        except BaseException as error:
            if _is_interruptible(frame):
                raise
            _main.pending = error
            _end_wait()


def _is_interruptible(frame: FrameType | None) -> bool:
    """Whether the main thread, interrupted in *frame*, holds no lock there."""
    if _main.interruptible:
        _main.interruptible = False  # for this exception alone: its way out runs finally clauses
        return True
    # gRPC's wait for the answer of a unary call: its `_next_call_event` (channel.pyx.pxi) ends the call
    # when a handler raises there.
    return (
        frame is not None
        and frame.f_code.co_name == "_blocking"
        and frame.f_globals.get("__name__") == "grpc._channel"
        and "call" in frame.f_locals
    )


def _end_wait() -> None:
    """Have another thread end what the innermost shield waits for."""
    if _main.cancel is _poke:
        _main.saved.append((_POKE, _signal.getsignal(_POKE)))
        _signal.signal(_POKE, _on_poke)
    if _main.cancel is not None:
        _thread.start_new_thread(_quietly, (_main.cancel,))


def _quietly(cancel: Callable[[], object]) -> None:
    with suppress(Exception):  # what was to be ended has ended
        cancel()


def _poke() -> None:
    """Have the main thread raise what waits as soon as it is where it holds no lock."""
    while _main.depth and _main.pending is not None:
        # To this thread: Python runs handlers in the main one all the same, and gRPC would begin its wait there anew.
        signal.raise_signal(_POKE)
        sleep(_POKE_INTERVAL)


def _on_poke(number: int, frame: FrameType | None) -> None:
    if _main.pending is not None and _is_interruptible(frame):
        raise _taken()


def _taken() -> BaseException:
    error, _main.pending = _main.pending, None
    assert error is not None
    return error


class Shield:
    """A context in which an exception of a signal handler waits, at the longest until the context is left.

    *cancel* ends, from another thread, what is waited for in the context, which then raises the exception. Without
    *cancel* the outermost shield does, or the next wait inside of it.
    """

    __slots__ = ("_cancel", "_counts", "_outer")

    def __init__(self, cancel: Callable[[], object] | None = None) -> None:
        self._cancel = cancel
        self._counts = False
        self._outer: Callable[[], object] | None = None

    def __enter__(self) -> None:
        if _thread.get_ident() != threading.main_thread().ident:
            return
        self._counts = True
        if not _main.depth:
            _shield_handlers()
        self._outer, _main.cancel = _main.cancel, self._cancel
        # From here on nothing is raised by a handler. Before, nothing has begun.
        _main.depth += 1
        if self._cancel is not None and _main.pending is not None:
            self._leave()
            raise _taken()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._counts:
            return
        try:
            self._leave()
        finally:
            if _main.pending is not None and (self._cancel is not None or not _main.depth):
                raise _taken() from None

    def _leave(self) -> None:
        _main.cancel = self._outer
        _main.depth -= 1
        if not _main.depth:
            _restore_handlers()


def _shield_handlers() -> None:
    _main.pending, _main.interruptible, _main.saved, _main.cancel = None, False, [], None
    for number in _NUMBERS:
        handler = _signal.getsignal(number)
        if callable(handler):
            # One that is wrapped was left behind by a handler that raised between two lines of this module.
            original = handler.handler if type(handler) is _Handler else handler
            _main.saved.append((number, original))
            _signal.signal(number, _Handler(original))


def _restore_handlers() -> None:
    for number, handler in reversed(_main.saved):
        # What is not of ours any more was set by a handler meanwhile, and stays.
        if type(_signal.getsignal(number)) is _Handler or number == _POKE:
            _signal.signal(number, handler)


@contextmanager
def handling(handler: Any, *numbers: int) -> Generator[None]:
    """Have *handler* handle the signals *numbers* while the context lasts, in the main thread.

    Those of before come back also where an exception of another handler comes between two lines here.
    """
    before = [(number, _signal.getsignal(number)) for number in numbers]
    try:
        _set_handlers([(number, handler) for number in numbers])
        yield
    finally:
        try:
            _set_handlers(before)
        except BaseException:
            _set_handlers(before)  # it may have come before they were set
            raise


def _set_handlers(handlers: list[tuple[int, Any]]) -> None:
    with Shield():
        for number, handler in handlers:
            if handler is not None:  # one that Python did not install cannot be put back
                # SIG_IGN and SIG_DFL of the module signal are enums, which C does not know.
                _signal.signal(number, handler if callable(handler) else int(handler))


class UnaryCall(Shield):
    """A shield for one unary call of gRPC: a handler that raises leaves it while it waits for the answer."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_poke)


class Flag:
    """An event: once set, it stays so. Unlike `threading.Event`, a signal handler may leave any of its lines by an exception."""

    __slots__ = ("_set", "_waiters")

    def __init__(self) -> None:
        self._set = False
        self._waiters: deque[_thread.LockType] = deque()

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def set(self) -> None:
        """Set it, and let everyone go on who waits for it."""
        self._set = True
        _release(self._waiters)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, *timeout* seconds at the most; whether it is."""
        if self._set:
            return True
        waiter = _enroll(self._waiters)
        if not (self._set or acquire(waiter, timeout)):
            with suppress(ValueError):  # it was set at the last moment
                self._waiters.remove(waiter)
        return self._set


class Bell:
    """Tells those who wait that something has changed.

    Enroll while holding the lock that guards what is waited for, wait without it: ``with lock: waiter = bell.enroll()``,
    then `acquire(waiter, timeout)`. A signal handler may leave any of these lines by an exception, which a
    `threading.Condition` does not survive.
    """

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: deque[_thread.LockType] = deque()

    def enroll(self) -> _thread.LockType:
        """A lock that the next `ring` lets be acquired."""
        return _enroll(self._waiters)

    def ring(self) -> None:
        """Wake everyone who has enrolled."""
        _release(self._waiters)


class Condition:
    """A `threading.Condition` with a plain lock. Having it shields; a handler that raises leaves `wait`, and nothing else."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._changed = Bell()
        self._shield: Shield  # of whoever has the lock

    def __enter__(self) -> None:
        shield = Shield()
        shield.__enter__()
        self._lock.acquire()
        self._shield = shield

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shield = self._shield
        self._lock.release()
        shield.__exit__(kind, error, trace)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `notify_all`, without the lock, for *timeout* seconds at the most; whether it came."""
        shield, waiter = self._shield, self._changed.enroll()
        self._lock.release()
        try:
            return acquire(waiter, timeout)
        finally:
            self._lock.acquire()
            self._shield = shield

    def notify_all(self) -> None:
        """Wake everyone who waits."""
        self._changed.ring()


def _enroll(waiters: deque[_thread.LockType]) -> _thread.LockType:
    waiter = _thread.allocate_lock()
    waiter.acquire()
    waiters.append(waiter)
    return waiter


def _release(waiters: deque[_thread.LockType]) -> None:
    while waiters:
        try:
            waiters.popleft().release()
        except IndexError:  # another thread was faster
            return


def acquire(waiter: _thread.LockType, timeout: float | None = None) -> bool:
    """Acquire *waiter* within *timeout* seconds; whether that was possible.

    A handler that raises leaves it, also inside a shield.
    """
    seconds = -1 if timeout is None else max(timeout, 0)
    if _thread.get_ident() != threading.main_thread().ident:
        return waiter.acquire(True, seconds)
    if not _main.depth:
        return _acquire_in_slices(waiter, seconds)
    if _main.pending is not None:
        raise _taken()
    _main.interruptible = True
    try:
        # One that came before the line above waits already.
        if _main.pending is not None:
            raise _taken()
        return _acquire_in_slices(waiter, seconds)
    finally:
        _main.interruptible = False


def _acquire_in_slices(waiter: _thread.LockType, seconds: float) -> bool:
    """Acquire *waiter* in the main thread within *seconds*, -1 for ever."""
    if 0 <= seconds <= _SLICE:
        return waiter.acquire(True, seconds)
    end = None if seconds < 0 else monotonic() + seconds
    while end is None or (rest := end - monotonic()) > 0:
        if waiter.acquire(True, _SLICE if end is None else min(_SLICE, rest)):
            return True
    return False


def start_thread(target: Callable[..., object], *args: Any, name: str) -> threading.Thread:
    """A daemon thread that runs *target*, started."""
    with Shield():
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
    return thread


def result_of(future: Any, timeout: float | None = None) -> Any:
    """`future.result(timeout)`. Raises TimeoutError when the time is over; whatever else ends the waiting cancels nothing."""
    done = Flag()
    with Shield():
        future.add_done_callback(lambda _: done.set())
    if not done.wait(timeout):
        raise TimeoutError
    with Shield():
        return future.result()


def aside(function: Callable[[], T], name: str) -> Future[T]:
    """What *function* returns or raises, in the end: it runs on a thread of its own."""
    from concurrent.futures import Future

    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            future.set_exception(error)

    start_thread(run, name=name)
    return future


def run_aside(function: Callable[[], T], timeout: float | None, name: str) -> T:
    """What *function* returns, run on a thread of its own: a handler that raises leaves the wait, and the thread goes on.

    Raises what *function* raises, and TimeoutError when it takes longer than *timeout* seconds.
    """
    return result_of(aside(function, name), timeout)  # type: ignore[no-any-return]


def _shield_imports() -> None:
    """Have the main thread inside a shield while it loads a module: Python's own locks of modules are not safe, either.

    The import statement looks `_find_and_load` up, by that name, for modules that are not loaded yet. Its new frame has
    the file name of the old one, so that Python leaves it out of tracebacks as it does those of importlib.
    """
    bootstrap: Any = importlib._bootstrap  # type: ignore[attr-defined]
    load = bootstrap._find_and_load
    if getattr(load, "shielded", False):
        return

    def shielded(*args: Any) -> Any:
        with Shield():
            module = load(*args)
            if args[0] == "logging":
                _shield_logging()
            return module

    shielded.__code__ = shielded.__code__.replace(co_filename=load.__code__.co_filename)
    shielded.shielded = True  # type: ignore[attr-defined]
    bootstrap._find_and_load = shielded


class ShieldedLock:
    """A `threading.RLock`, as logging uses them. The main thread is inside a shield while it has it."""

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        self._shields: list[Shield] = []  # of whoever has the lock

    def acquire(self) -> bool:
        """Acquire it, again if it is this thread's."""
        shield = Shield()
        shield.__enter__()
        self._lock.acquire()
        self._shields.append(shield)
        return True

    def release(self) -> None:
        """Release it once. Raises what has waited for that."""
        shield = self._shields.pop()
        self._lock.release()
        shield.__exit__(None, None, None)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        """In a new process, of which one thread is left; logging had the lock when it began."""
        self._lock._at_fork_reinit()
        shields, self._shields = self._shields, []
        for shield in reversed(shields):
            shield.__exit__(None, None, None)


def _shield_logging() -> None:
    """Have the main thread inside a shield while it has logging's own lock, for which the first lines of every loop wait, too."""
    logging: Any = sys.modules.get("logging")
    # It is not there yet while the module is half loaded, which is done inside a shield.
    if isinstance(getattr(logging, "_lock", None), _RLOCKS):
        logging._lock = ShieldedLock()


_RLOCKS: Final = type(threading.RLock())

_shield_imports()
_shield_logging()
