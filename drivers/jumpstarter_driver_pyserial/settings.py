"""The settings of a serial line: rate, form of a character, flow control; named and valued as in pyserial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from jumpstarter.common.suggestions import did_you_mean

if TYPE_CHECKING:
    from serial import SerialBase

#: The values that are taken; those with words have the word of each value.
CHOICES: Mapping[str, Mapping[Any, str]] = {
    "bytesize": {5: "", 6: "", 7: "", 8: ""},
    "parity": {"N": "none", "E": "even", "O": "odd", "M": "mark", "S": "space"},
    "stopbits": {1: "", 1.5: "", 2: ""},
}


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """*baudrate* in bits per second; *bytesize* data bits; *parity* N, E, O, M or S (none, even, odd, mark, space).

    Flow control: *rtscts* and *dsrdtr* by lines, *xonxoff* by characters.
    """

    baudrate: int = 115200
    bytesize: int = 8
    parity: str = "N"
    stopbits: float = 1
    rtscts: bool = False
    xonxoff: bool = False
    dsrdtr: bool = False

    def changed(self, values: Mapping[str, Any]) -> LineSettings:
        """These settings with *values* in place of theirs. Raises ValueError that names what is wrong, and what is expected."""
        names = [field.name for field in fields(self)]
        for name in values:
            if name not in names:
                raise ValueError(
                    f"there is no setting {name!r}{did_you_mean(name, names)}; expected {', '.join(names)}"
                )
        return replace(self, **{name: _checked(name, value) for name, value in values.items()})

    def as_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)

    def differing(self, other: LineSettings) -> dict[str, Any]:
        """The settings that *other* has otherwise."""
        theirs = asdict(other)
        return {name: value for name, value in asdict(self).items() if value != theirs[name]}


def apply(port: SerialBase, settings: LineSettings, before: LineSettings) -> None:
    """Change the open *port* from *before* to *settings*; what cannot be had leaves it as it was. Raises pyserial's errors."""
    wanted = settings.differing(before)
    done: list[str] = []
    try:
        for name, value in wanted.items():
            done.append(name)
            setattr(port, name, value)
    except Exception:
        for name in reversed(done):
            _restore(port, name, getattr(before, name))
        raise


def _restore(port: SerialBase, name: str, value: Any) -> None:
    try:
        setattr(port, name, value)
    except (OSError, ValueError):
        # The port has not taken the new value either; the error that is on its way says why.
        return


def _checked(name: str, value: Any) -> Any:
    if name in CHOICES:
        return _choice(name, value)
    if name == "baudrate":
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise ValueError(f"baudrate must be a positive whole number, found {value!r}")
    elif not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, found {value!r}")
    return value


def _choice(name: str, value: Any) -> Any:
    choices = CHOICES[name]
    for choice, word in choices.items():
        if isinstance(value, str) and value.lower() in (str(choice).lower(), word):
            return choice
        if not isinstance(value, bool) and value == choice:
            return choice
    expected = ", ".join(f"{one} ({word})" if word else str(one) for one, word in choices.items())
    raise ValueError(f"{name} must be one of {expected}, found {value!r}")
