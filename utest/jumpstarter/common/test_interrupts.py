"""Exceptions of signal handlers wait while locks are held, and end the waits that are made for it."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Any

import pytest
from jumpstarter.common import interrupts
from jumpstarter.common.interrupts import (
    Bell,
    Condition,
    Flag,
    Shield,
    acquire,
    handling,
    result_of,
    run_aside,
    start_thread,
)
from jumpstarter.common.utils import serve
from jumpstarter_driver_power.driver import MockPower

from utest.signals import NUMBER, Interrupted, raising

#: Seconds for what has to happen at once; the machine may be busy.
LIMIT = 60.0


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    with raising():
        yield


def interrupt_soon() -> None:
    """Interrupt the main thread while it waits."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.05, signal.pthread_kill, (main, NUMBER))
    timer.daemon = True
    timer.start()


def test_an_exception_of_a_handler_waits_for_the_end_of_the_shield() -> None:
    done = []
    with pytest.raises(Interrupted), Shield():
        signal.raise_signal(NUMBER)
        done.append("all of it")
    assert done == ["all of it"]


def test_the_outermost_shield_raises() -> None:
    done = []
    with pytest.raises(Interrupted), Shield():
        with Shield():
            signal.raise_signal(NUMBER)
        done.append("after the inner one")
    assert done == ["after the inner one"]


def test_handlers_are_what_they_were_after_a_shield() -> None:
    before = signal.getsignal(NUMBER)
    with pytest.raises(Interrupted), Shield():
        signal.raise_signal(NUMBER)
    assert signal.getsignal(NUMBER) is before
    with Shield():
        pass
    assert signal.getsignal(NUMBER) is before


def test_a_handler_that_is_replaced_by_a_handler_stays_replaced() -> None:
    def only_once(number: int, frame: object) -> None:
        signal.signal(NUMBER, signal.SIG_IGN)
        raise Interrupted

    signal.signal(NUMBER, only_once)
    with pytest.raises(Interrupted), Shield():
        signal.raise_signal(NUMBER)
    assert signal.getsignal(NUMBER) is signal.SIG_IGN


def test_handlers_are_set_as_long_as_a_context_lasts() -> None:
    calls: list[int] = []
    numbers = (signal.SIGHUP, signal.SIGWINCH)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(Interrupted), handling(lambda number, frame: calls.append(number), *numbers):
        signal.raise_signal(signal.SIGWINCH)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(NUMBER)
    assert calls == [signal.SIGWINCH, signal.SIGHUP]
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_is_ignored_as_long_as_a_context_lasts() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with handling(signal.SIG_IGN, signal.SIGHUP):
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == before


@pytest.mark.parametrize("moment", [1, 2])
def test_handlers_come_back_when_another_handler_raises_as_they_are_set(
    monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    times, really = [0], interrupts._set_handlers

    def interrupted(handlers: list[tuple[int, object]]) -> None:
        times[0] += 1
        if times[0] == moment:
            signal.raise_signal(NUMBER)
        really(handlers)

    before = signal.getsignal(signal.SIGHUP)
    monkeypatch.setattr(interrupts, "_set_handlers", interrupted)
    with pytest.raises(Interrupted), handling(signal.SIG_IGN, signal.SIGHUP):
        pass
    assert signal.getsignal(signal.SIGHUP) is before


def test_a_handler_that_does_not_raise_disturbs_nothing() -> None:
    calls: list[int] = []
    before = signal.signal(NUMBER, lambda number, frame: calls.append(number))
    try:
        with Shield(lambda: calls.append(-1)):
            signal.raise_signal(NUMBER)
    finally:
        signal.signal(NUMBER, before)
    assert calls == [NUMBER]


def test_what_a_shield_waits_for_is_ended_by_another_thread() -> None:
    over = threading.Event()
    by: list[int] = []

    def end() -> None:
        by.append(threading.get_ident())
        over.set()

    interrupt_soon()
    with pytest.raises(Interrupted), Shield(end):
        assert over.wait(LIMIT)
    assert by != [threading.get_ident()]


def test_a_shield_that_waits_does_not_begin_when_an_exception_waits_already() -> None:
    with pytest.raises(Interrupted), Shield():
        signal.raise_signal(NUMBER)
        with Shield(lambda: None):
            pytest.fail("it was entered")


def test_the_error_of_what_was_interrupted_makes_way_for_the_exception() -> None:
    with pytest.raises(Interrupted), Shield():
        signal.raise_signal(NUMBER)
        raise ValueError


@pytest.mark.parametrize("shielded", [True, False])
def test_waiting_for_a_flag_is_interrupted(shielded: bool) -> None:
    flag = Flag()
    interrupt_soon()
    with pytest.raises(Interrupted):
        if shielded:
            with Shield():
                flag.wait(LIMIT)
        else:
            flag.wait(LIMIT)
    assert not flag.is_set()


def test_a_flag_wakes_all_who_wait_and_stays_set() -> None:
    flag, woken = Flag(), []
    threads = [start_thread(lambda: woken.append(flag.wait(LIMIT)), name=f"waiter {n}") for n in range(5)]
    flag.set()
    for thread in threads:
        thread.join(LIMIT)
    assert woken == [True] * 5
    assert flag.wait(0)


def test_a_flag_that_is_not_set_in_time_keeps_nothing_of_the_wait() -> None:
    flag = Flag()
    assert not flag.wait(0.01)
    assert not flag._waiters


def test_a_bell_wakes_those_who_enrolled_before_it_rang() -> None:
    bell = Bell()
    early = bell.enroll()
    bell.ring()
    late = bell.enroll()
    assert acquire(early, 0)
    assert not acquire(late, 0.01)


def test_the_wait_for_a_future_is_interrupted_and_the_future_is_not() -> None:
    future: Future[int] = Future()
    interrupt_soon()
    with pytest.raises(Interrupted):
        result_of(future, LIMIT)
    future.set_result(7)
    assert result_of(future, LIMIT) == 7


def test_work_aside_raises_what_it_raises_and_may_take_too_long() -> None:
    never = Flag()
    with pytest.raises(ZeroDivisionError):
        run_aside(lambda: 1 / 0, LIMIT, "fails")
    with pytest.raises(TimeoutError):
        run_aside(never.wait, 0.01, "blocks")
    assert run_aside(lambda: 3, LIMIT, "works") == 3


def test_a_wait_for_a_condition_is_interrupted_and_its_lock_is_free() -> None:
    condition = Condition()
    interrupt_soon()
    with pytest.raises(Interrupted), condition:
        condition.wait(LIMIT)

    def use() -> None:
        with condition:
            condition.notify_all()

    run_aside(use, LIMIT, "another")


def test_a_condition_is_left_before_the_exception_is_raised() -> None:
    condition, done = Condition(), []
    with pytest.raises(Interrupted):
        with condition:
            signal.raise_signal(NUMBER)
            done.append("with the lock")
        done.append("never")
    assert done == ["with the lock"]


def test_a_condition_wakes_those_who_wait() -> None:
    condition, seen = Condition(), []
    waiting = Flag()

    def wait() -> None:
        with condition:
            waiting.set()
            seen.append(condition.wait(LIMIT))

    thread = start_thread(wait, name="waits")
    waiting.wait(LIMIT)
    with condition:
        condition.notify_all()
    thread.join(LIMIT)
    assert seen == [True]


class Struck:
    """Raises the signal at the worst moment: a condition's lock is held, and its way out has just begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.armed = False
        leave = threading.Condition.__exit__

        def strike(
            condition: threading.Condition,
            kind: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            if self.armed and threading.get_ident() == threading.main_thread().ident:
                self.armed = False
                signal.raise_signal(NUMBER)
            leave(condition, kind, error, trace)

        monkeypatch.setattr(threading.Condition, "__exit__", strike)


def test_a_handler_that_raises_while_grpc_has_a_lock_leaves_no_lock_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serve(MockPower()) as client:
        struck = Struck(monkeypatch)
        for action in (client.on, lambda: list(client.read())):
            struck.armed = True
            with pytest.raises(Interrupted):
                for _ in range(50):
                    action()
        run_aside(lambda: (client.on(), list(client.read())), LIMIT, "afterwards")


def test_a_handler_that_raises_while_logging_has_its_lock_leaves_no_lock_held() -> None:
    def look(frame: FrameType, event: str, argument: object) -> Any:
        if event == "return" and frame.f_code.co_name in ("_acquireLock", "acquire"):
            sys.settrace(None)
            signal.raise_signal(NUMBER)
        return look

    with pytest.raises(Interrupted):
        sys.settrace(look)
        try:
            logging.getLogger("of nobody yet")
        finally:
            sys.settrace(None)
    done = threading.Event()
    threading.Thread(target=lambda: (logging.getLogger("of another thread"), done.set()), daemon=True).start()
    assert done.wait(LIMIT)
