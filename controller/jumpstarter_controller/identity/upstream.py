"""The key with which a stock installation signs its tokens, from its CONTROLLER_KEY: only to verify them.

Stock Jumpstarter seeds Go's ``math/rand`` with the first 64 bits of SHA-256(CONTROLLER_KEY), which that generator
reduces to 31 bits, and makes a P-256 key from 40 of its bytes. Such a key can be found by trial, so it signs nothing here
and is accepted only where a lab's settings name it; rotate the tokens and take it out again.

The generator is an additive lagged Fibonacci one, x[n] = x[n-607] + x[n-273] modulo 2**64 (Mitchell and Moore; Knuth, The
Art of Computer Programming, volume 2, 3.2.2). Its table of start values is not kept here but computed: it is the
generator's own state after 7.8e12 steps, and since the rule is linear, that many steps are one power of a polynomial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

LENGTH: Final = 607
TAP: Final = 273
STEPS: Final = 7_800_000_000_000
MODULUS: Final = (1 << 31) - 1
_MASK: Final = (1 << 64) - 1
_ZERO_SEED: Final = 89482311
#: Bits for one coefficient of a product: two of 64 bits, summed 607 times, and some more for the sums of a reduction.
_SLOT: Final = 160
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def upstream_key(controller_key: bytes) -> ec.EllipticCurvePublicKey:
    """The public key of a stock installation with that CONTROLLER_KEY."""
    seed = int.from_bytes(hashlib.sha256(controller_key).digest()[:8], "big", signed=True)
    number = int.from_bytes(take_bytes(GoRandom(seed), 40), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1()).public_key()


class GoRandom:
    """Go's ``rand.NewSource(seed)``."""

    def __init__(self, seed: int) -> None:
        self._state = [
            word ^ cooked for word, cooked in zip(_seeded(seed, (40, 20, 0)), _cooked(), strict=True)
        ]
        self._tap, self._feed = 0, LENGTH - TAP

    def int63(self) -> int:
        """The next number, of 63 bits."""
        self._tap = (self._tap - 1) % LENGTH
        self._feed = (self._feed - 1) % LENGTH
        word = (self._state[self._feed] + self._state[self._tap]) & _MASK
        self._state[self._feed] = word
        return word & (_MASK >> 1)


def take_bytes(source: GoRandom, count: int) -> bytes:
    """What Go's ``rand.Read`` gives: seven bytes of each number, the lowest first."""
    numbers = -(-count // 7)
    return b"".join((source.int63() & ((1 << 56) - 1)).to_bytes(7, "little") for _ in range(numbers))[:count]


def _lehmer(seed: int) -> Iterator[int]:
    """x[n] = 48271 x[n-1] modulo 2**31 - 1."""
    value = seed % MODULUS or _ZERO_SEED
    while True:
        value = 48271 * value % MODULUS
        yield value


def _seeded(seed: int, shifts: tuple[int, int, int]) -> list[int]:
    numbers = _lehmer(seed)
    for _ in range(20):
        next(numbers)
    words = []
    for _ in range(LENGTH):
        word = 0
        for shift in shifts:
            word ^= next(numbers) << shift
        words.append(word & _MASK)
    return words


@cache
def _cooked() -> list[int]:
    """The generator's state, in the order of its array, `STEPS` steps after it was seeded with 1."""
    state = _seeded(1, (20, 10, 0))
    # Step k (from 1) writes index (334 - k) mod 607 as the sum of itself and of index -k mod 607: in the order of time,
    # the sequence s[n] = s[n-607] + s[n-273] whose first 607 values lie in the array backwards from index 333.
    start = [state[(LENGTH - TAP - 1 - n) % LENGTH] for n in range(LENGTH)]
    ahead = _advance(start, STEPS)
    cooked = [0] * LENGTH
    for n in range(LENGTH):
        cooked[(LENGTH - TAP - 1 - STEPS - n) % LENGTH] = ahead[n]
    return cooked


def _advance(start: list[int], steps: int) -> list[int]:
    """s[steps] to s[steps + 606], given s[0] to s[606]."""
    power = _x_to_the(steps)
    sequence = list(start)
    for n in range(LENGTH, 2 * LENGTH):
        sequence.append((sequence[n - LENGTH] + sequence[n - TAP]) & _MASK)
    return [
        sum(factor * sequence[n + index] for index, factor in enumerate(power)) & _MASK for n in range(LENGTH)
    ]


def _x_to_the(exponent: int) -> list[int]:
    """x**exponent modulo x**607 - x**334 - 1, coefficients modulo 2**64, the lowest first."""
    result = [1] + [0] * (LENGTH - 1)
    for bit in f"{exponent:b}":
        result = _square(result)
        if bit == "1":
            result = _reduce([0, *result])
    return result


def _square(polynomial: list[int]) -> list[int]:
    # One long number is a polynomial in 2**_SLOT, and Python multiplies long numbers fast.
    packed = b"".join(factor.to_bytes(_SLOT // 8, "little") for factor in polynomial)
    number = int.from_bytes(packed, "little") ** 2
    product = number.to_bytes(2 * len(packed), "little")
    width = _SLOT // 8
    return _reduce([int.from_bytes(product[at : at + 8], "little") for at in range(0, len(product), width)])


def _reduce(polynomial: list[int]) -> list[int]:
    for power in range(len(polynomial) - 1, LENGTH - 1, -1):
        factor = polynomial[power]
        polynomial[power - LENGTH] += factor
        polynomial[power - TAP] += factor
    return [factor & _MASK for factor in polynomial[:LENGTH]]
