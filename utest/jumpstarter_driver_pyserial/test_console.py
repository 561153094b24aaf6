from __future__ import annotations

import pytest
from jumpstarter_driver_pyserial.console import EscapeCounter

B = b"\x02"


@pytest.mark.parametrize(
    ("reads", "passed", "left"),
    [
        ([b"hello"], b"hello", False),
        ([B + B + B], B + B, True),
        ([B, B, B], B + B, True),
        ([b"ls" + B, B + B + b"not sent"], b"ls" + B + B, True),
        ([B + B + b"x" + B + B], B + B + b"x" + B + B, False),
        ([B + B, b"x", B, B], B + B + b"x" + B + B, False),
        ([b""], b"", False),
    ],
)
def test_three_escapes_in_a_row_leave(reads: list[bytes], passed: bytes, left: bool) -> None:
    counter = EscapeCounter()
    sent, leave = b"", False
    for data in reads:
        assert not leave
        part, leave = counter.feed(data)
        sent += part
    assert (sent, leave) == (passed, left)
