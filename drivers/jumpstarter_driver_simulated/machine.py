"""A small machine with a serial console: pure, and moved by nothing but the times and inputs it is given.

The machine has no clock, thread or file. `Machine.advance(now)` brings it to the time *now*;
`Machine.next_due` says when it has something to say next; `Machine.take_output` gives what it said. The same
calls give the same output.

`Board` (in board.py) drives it from a real clock and feeds the consoles.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from . import bootprompt, shell, states
from .image import CardContent, Image
from .states import INTERACTIVE, TRANSITIONS, Event, Line, State

UART_FIFO = 64
"""Bytes of input that wait while nothing reads them; more are lost, as in a real UART."""

MAX_LINE = 1024
"""The longest line of input, in bytes; more are refused with a bell."""

_NO_ECHO = frozenset({State.PASSWORD})
_ERASE = (0x08, 0x7F)
_INTERRUPT, _END, _KILL = 0x03, 0x04, 0x15


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a machine behaves.

    `speed` divides the nominal times (1 is about 5 s from power on to login), `bootdelay` is the count before
    it boots by itself (nominal seconds; negative: never), `password` is root's (None: none is asked).
    """

    speed: float = 4.0
    bootdelay: int = 3
    hostname: str = "simboard"
    password: str | None = None


class Machine:
    """The board itself. Times are in seconds of any one clock and must not go back."""

    def __init__(self, settings: Settings, card: CardContent | None = None) -> None:
        self.state = State.OFF
        self.card: CardContent | None = card
        self._settings = settings
        self._saved_environment: dict[str, str] = {}
        self._output = bytearray()
        self._input: deque[int] = deque()
        self._line = bytearray()
        self._after_return = False
        self._user = ""
        self._image = Image()
        self._script: deque[Line] = deque()
        self._then: Event | None = None
        self._due = 0.0
        self.erase_environment()
        self._boot = bootprompt.BootPrompt({})
        self._shell = shell.Shell(self._image, settings.hostname)

    # What a person at the bench does

    def power_on(self, now: float) -> None:
        """Switch the supply on; nothing changes when it is on."""
        self.advance(now)
        self._fire(Event.POWER_ON, now)

    def power_off(self, now: float) -> None:
        """Switch the supply off, in any state."""
        self.advance(now)
        self._fire(Event.POWER_OFF, now)

    def insert_card(self, card: CardContent | None, now: float) -> None:
        """Put another card in the slot; None takes it out. What runs already does not notice."""
        self.advance(now)
        self.card = card

    def erase_environment(self) -> None:
        """Forget what `saveenv` saved."""
        bootdelay = {"bootdelay": str(self._settings.bootdelay)}
        self._saved_environment = {**bootprompt.DEFAULT_ENVIRONMENT, **bootdelay}

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the serial line."""
        self.advance(now)
        if self.state in (State.OFF, State.HALTED):
            return
        for byte in data:
            if len(self._input) < UART_FIFO:
                self._input.append(byte)
            self._read_input(now)

    # What it shows

    def advance(self, now: float) -> None:
        """Bring the machine to the time *now*."""
        while self._then is not None and self._due <= now:
            if self._script:
                self._print(self._script.popleft().text)
            if self._script:
                self._due += self._script[0].after / self._settings.speed
            else:
                event, self._then = self._then, None
                self._fire(event, self._due)

    @property
    def next_due(self) -> float | None:
        """The time of the next thing that happens by itself; None when it waits for someone."""
        return None if self._then is None else self._due

    def take_output(self) -> bytes:
        """What was printed on the serial line since the last call."""
        output = bytes(self._output)
        self._output.clear()
        return output

    @property
    def current(self) -> float:
        """The current it draws, in amperes."""
        return states.CURRENT[self.state]

    @property
    def voltage(self) -> float:
        """The voltage at its input, in volts."""
        return (
            0.0
            if self.state is State.OFF
            else states.SUPPLY_VOLTAGE - states.SUPPLY_RESISTANCE * self.current
        )

    # Between the states

    def _fire(self, event: Event, now: float) -> None:
        state = TRANSITIONS.get((self.state, event))
        if state is not None:
            self._leave()
            self.state = state
            self._enter(now)

    def _leave(self) -> None:
        self._script.clear()
        self._then = None
        self._line.clear()

    def _enter(self, now: float) -> None:
        match self.state:
            case State.OFF | State.HALTED:
                self._input.clear()
            case State.FIRMWARE:
                self._boot = bootprompt.BootPrompt(dict(self._saved_environment))
                self._play(states.FIRMWARE, Event.READY if self._bootdelay >= 0 else Event.NO_AUTOBOOT, now)
            case State.COUNTDOWN:
                self._play(states.countdown(self._bootdelay), Event.TIME_OUT, now)
            case State.PROMPT:
                self._print(f"\n{bootprompt.PROMPT}")
            case State.LOADING:
                found = isinstance(self.card, Image)
                self._image = self.card if isinstance(self.card, Image) else self._image
                self._play(states.loading(self.card), Event.FOUND if found else Event.NOT_FOUND, now)
            case State.KERNEL:
                self._play(states.kernel(self._image, self._bootargs), Event.BOOTED, now)
            case State.LOGIN:
                # As getty does: what was typed while the system booted is not a user name.
                self._input.clear()
                self._print(f"\n{self._image.name} {self._image.version} {self._settings.hostname} ttyS0\n\n")
                self._print_login()
            case State.PASSWORD:
                self._print("Password: ")
            case State.SHELL:
                self._shell = shell.Shell(self._image, self._settings.hostname, self._bootargs)
                self._print(shell.PROMPT)
            case State.STOPPING:
                self._play(states.STOPPING, Event.STOPPED, now)
            case State.RESTARTING:
                self._play(states.RESTARTING, Event.STOPPED, now)
        self._read_input(now)

    def _play(self, script: Sequence[Line], then: Event, now: float) -> None:
        self._script = deque(script)
        self._then = then
        self._due = now + (script[0].after / self._settings.speed)
        self.advance(now)

    @property
    def _bootdelay(self) -> int:
        text = self._boot.environment.get("bootdelay", "")
        return int(text) if text.removeprefix("-").isdecimal() else 0

    @property
    def _bootargs(self) -> str:
        return self._boot.environment.get("bootargs", "")

    # Input

    def _read_input(self, now: float) -> None:
        while self._input and self.state in INTERACTIVE:
            byte = self._input.popleft()
            repeated = self._after_return and byte == 0x0A
            self._after_return = byte == 0x0D
            if repeated:  # the second half of a CR LF
                continue
            if self.state is State.COUNTDOWN:
                self._fire(Event.KEY, now)
            else:
                self._edit(byte, now)

    def _edit(self, byte: int, now: float) -> None:
        if byte in (0x0D, 0x0A):
            line = self._line.decode("utf-8", "replace")
            self._line.clear()
            self._print("\n")
            self._submit(line, now)
        elif byte in _ERASE:
            if self._line:
                self._line.pop()
                self._echo(b"\b \b")
        elif byte == _KILL:
            self._echo(b"\b \b" * len(self._line))
            self._line.clear()
        elif byte == _INTERRUPT:
            self._line.clear()
            self._print("^C\n")
            self._submit("", now)
        elif byte == _END and self.state is State.SHELL and not self._line:
            self._print("\n")
            self._fire(Event.LOGOUT, now)
        elif byte < 0x20 and byte != 0x09:
            return
        elif len(self._line) < MAX_LINE:
            self._line.append(byte)
            self._echo(bytes([byte]))
        else:
            self._echo(b"\a")

    def _submit(self, line: str, now: float) -> None:
        match self.state:
            case State.PROMPT:
                self._at_boot_prompt(line, now)
            case State.SHELL:
                self._at_shell(line, now)
            case State.LOGIN:
                self._at_login(line.strip(), now)
            case State.PASSWORD:
                self._at_password(line, now)

    def _at_boot_prompt(self, line: str, now: float) -> None:
        answer = self._boot.run(line)
        self._saved_environment = self._boot.saved or self._saved_environment
        self._print(answer.text)
        if answer.act is bootprompt.Act.BOOT:
            self._fire(Event.BOOT, now)
        elif answer.act is bootprompt.Act.RESET:
            self._fire(Event.REBOOT, now)
        else:
            self._print(bootprompt.PROMPT)

    def _at_shell(self, line: str, now: float) -> None:
        answer = self._shell.run(line)
        self._print(answer.text)
        if answer.act is None:
            self._print(shell.PROMPT)
        else:
            self._fire(_SHELL_EVENTS[answer.act], now)

    def _at_login(self, user: str, now: float) -> None:
        self._user = user
        if not user:
            self._print_login()
        elif user == "root" and self._settings.password is None:
            self._fire(Event.ACCEPTED, now)
        else:
            self._fire(Event.USER, now)

    def _at_password(self, password: str, now: float) -> None:
        if self._user == "root" and password == self._settings.password:
            self._fire(Event.ACCEPTED, now)
        else:
            self._print("Login incorrect\n")
            self._fire(Event.REFUSED, now)

    # Output

    def _print_login(self) -> None:
        self._print(f"{self._settings.hostname} login: ")

    def _print(self, text: str) -> None:
        self._output += text.replace("\n", "\r\n").encode()

    def _echo(self, data: bytes) -> None:
        if self.state not in _NO_ECHO:
            self._output += data


_SHELL_EVENTS = {
    shell.Act.LOGOUT: Event.LOGOUT,
    shell.Act.POWEROFF: Event.POWEROFF,
    shell.Act.REBOOT: Event.REBOOT,
}
