"""Signals while a lease is given back."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from jumpstarter.connection.claims import uninterrupted

from utest.signals import NUMBER, Interrupted, raising

STOPS = (signal.SIGINT, signal.SIGTERM)


def test_ctrl_c_has_no_effect_meanwhile() -> None:
    before = [signal.getsignal(number) for number in STOPS]
    with uninterrupted():
        for number in STOPS:
            signal.raise_signal(number)
    assert [signal.getsignal(number) for number in STOPS] == before


def test_a_time_out_at_any_moment_does_not_leave_the_process_deaf_to_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [signal.getsignal(number) for number in STOPS]
    really = signal.signal

    def set_and_time_out(number: int, handler: Any) -> Any:
        former = really(number, handler)
        signal.raise_signal(NUMBER)
        return former

    with raising():
        monkeypatch.setattr(signal, "signal", set_and_time_out)
        with pytest.raises(Interrupted), uninterrupted():
            pass
        monkeypatch.undo()
    assert [signal.getsignal(number) for number in STOPS] == before
