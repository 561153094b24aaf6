"""A board in time: who hears what, with a clock that the test moves."""

from __future__ import annotations

import threading

from jumpstarter_driver_simulated.board import Board, Console
from jumpstarter_driver_simulated.image import Image
from jumpstarter_driver_simulated.machine import Settings
from jumpstarter_driver_simulated.states import State


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(keep: int = 65536, *, speed: float = 1.0) -> tuple[Board, Clock]:
    clock = Clock()
    board = Board(Settings(speed=speed), keep=keep, clock=clock)
    board.insert_card(Image())
    return board, clock


def nothing() -> None:
    pass


def heard(board: Board, console: Console) -> str:
    return board.take(console)[0].decode()


def test_first_listener_gets_what_nobody_has_read() -> None:
    board, clock = make()
    board.power(True)
    clock.now = 100.0
    first = board.attach(nothing)
    second = board.attach(nothing)
    assert heard(board, first).endswith("login: ")
    assert heard(board, second) == ""


def test_all_listeners_hear_what_comes_after() -> None:
    board, clock = make()
    consoles = [board.attach(nothing), board.attach(nothing)]
    board.power(True)
    clock.now = 100.0
    texts = [heard(board, console) for console in consoles]
    assert texts[0] == texts[1]
    assert "boot complete" in texts[0]


def test_what_the_last_listener_did_not_take_waits_for_the_next() -> None:
    board, clock = make()
    board.power(True)
    console = board.attach(nothing)
    clock.now = 1.0
    begun = heard(board, console)
    clock.now = 100.0
    board.detach(console)
    rest = heard(board, board.attach(nothing))
    whole, whole_clock = make()
    whole.power(True)
    whole_clock.now = 100.0
    assert begun and rest
    assert begun + rest == heard(whole, whole.attach(nothing))


def test_switching_on_forgets_the_log_of_the_earlier_boot() -> None:
    board, clock = make()
    board.power(True)
    clock.now = 100.0
    board.power(False)
    board.power(True)
    assert heard(board, board.attach(nothing)) == ""


def test_switching_on_twice_changes_nothing() -> None:
    board, clock = make()
    board.power(True)
    clock.now = 100.0
    board.power(True)
    assert heard(board, board.attach(nothing)).endswith("login: ")


def test_kept_output_is_bounded_and_the_newest() -> None:
    board, clock = make(keep=20)
    board.power(True)
    clock.now = 100.0
    assert heard(board, board.attach(nothing)) == "\r\n\r\nsimboard login: "


def test_listener_that_does_not_read_costs_bounded_memory() -> None:
    board, clock = make(keep=100)
    console = board.attach(nothing)
    board.power(True)
    clock.now = 100.0
    board.send(b"root\r" + b"ls /bin\r" * 1000)
    assert len(console.pending) == 100


def test_take_says_how_long_to_wait() -> None:
    board, clock = make(speed=2.0)
    console = board.attach(nothing)
    assert board.take(console) == (b"", None)
    board.power(True)
    assert board.take(console) == (b"", 0.01)
    clock.now = 100.0
    assert board.take(console)[1] is None


def test_listener_is_woken_for_power_input_and_output() -> None:
    board, _ = make()
    woken: list[str] = []
    board.attach(lambda: woken.append("first"))
    second = board.attach(lambda: woken.append("second"))
    board.power(True)
    assert woken == ["first", "second"]
    woken.clear()
    board.take(second)
    assert woken == [], "nothing new, nobody is woken"
    board.send(b"x")
    assert woken == ["first", "second"]
    board.detach(second)
    woken.clear()
    board.power(False)
    assert woken == ["first"]


def test_measure_follows_the_state() -> None:
    board, clock = make()
    assert board.measure() == (0.0, 0.0)
    board.power(True)
    clock.now = 100.0
    volts, amperes = board.measure()
    assert 4.9 < volts < 5.0 and 0.4 < amperes < 0.5


def test_reset_takes_the_power_and_the_log() -> None:
    board, clock = make()
    board.power(True)
    clock.now = 100.0
    board.reset()
    assert board.state is State.OFF
    assert heard(board, board.attach(nothing)) == ""


def test_board_starts_no_thread() -> None:
    before = set(threading.enumerate())
    board, clock = make()
    board.power(True)
    board.attach(nothing)
    clock.now = 100.0
    assert board.state is State.LOGIN
    assert set(threading.enumerate()) <= before  # those of earlier tests may end meanwhile
