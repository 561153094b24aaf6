"""The pure machine: what it says, and when."""

from __future__ import annotations

import pytest
from jumpstarter_driver_simulated.image import Blank, CardContent, Corrupt, Image
from jumpstarter_driver_simulated.machine import MAX_LINE, UART_FIFO, Machine, Settings
from jumpstarter_driver_simulated.states import CURRENT, INTERACTIVE, TRANSITIONS, Event, State

SETTINGS = Settings(speed=1.0, bootdelay=2)
SYSTEM = Image()


def booted(
    card: CardContent | None = SYSTEM, *, settings: Settings = SETTINGS, now: float = 100.0
) -> Machine:
    machine = Machine(settings, card)
    machine.power_on(0.0)
    machine.advance(now)
    return machine


def at_prompt(card: CardContent | None = SYSTEM) -> Machine:
    machine = Machine(SETTINGS, card)
    machine.power_on(0.0)
    machine.receive(b"x", 0.0)
    machine.advance(1.0)
    assert machine.state is State.PROMPT
    machine.take_output()
    return machine


def at_shell(settings: Settings = SETTINGS) -> Machine:
    machine = booted(settings=settings)
    machine.receive(b"root\r", 100.0)
    assert machine.state is State.SHELL
    machine.take_output()
    return machine


def said(machine: Machine) -> str:
    return machine.take_output().decode().replace("\r\n", "\n")


def ask(machine: Machine, line: str, now: float = 200.0) -> str:
    machine.receive(line.encode() + b"\r", now)
    return said(machine)


def test_machine_that_is_off_says_nothing_and_draws_nothing() -> None:
    machine = Machine(SETTINGS, Image())
    machine.receive(b"hello\r", 1.0)
    machine.advance(100.0)
    assert (machine.take_output(), machine.next_due, machine.voltage, machine.current) == (
        b"",
        None,
        0.0,
        0.0,
    )


def test_power_on_boots_to_the_login_prompt() -> None:
    log = said(booted())
    order = [
        "U-Boot 20",
        "Hit any key to stop autoboot:  2",
        "Simulated Linux 1.0",
        "Starting kernel",
        "Linux version 6.1.0-simulated",
        "boot complete\n",
        "simboard login: ",
    ]
    positions = [log.index(text) for text in order]
    assert positions == sorted(positions)
    assert log.endswith("simboard login: ")


def test_output_does_not_depend_on_how_often_the_machine_is_looked_at() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    for step in range(10_000):
        machine.advance(step / 100)
    assert machine.take_output() == booted().take_output()


def test_next_due_leads_through_the_boot() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(10.0)
    times = [10.0]
    while (due := machine.next_due) is not None:
        assert due >= times[-1]
        times.append(due)
        machine.advance(due)
    assert machine.state is State.LOGIN
    assert times[-1] - 10.0 == pytest.approx(4.05, abs=0.2)


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0, 100.0])
def test_speed_divides_the_time_to_boot(speed: float) -> None:
    machine = Machine(Settings(speed=speed, bootdelay=2), Image())
    machine.power_on(0.0)
    machine.advance(3.5 / speed)
    assert machine.state is State.KERNEL
    machine.advance(5.0 / speed)
    assert machine.state is State.LOGIN


def test_transition_table_covers_every_state() -> None:
    sources = {state for state, _ in TRANSITIONS}
    targets = set(TRANSITIONS.values())
    assert sources == set(State) and targets == set(State)
    assert set(CURRENT) == set(State)
    for state in set(State) - {State.OFF}:
        assert TRANSITIONS[state, Event.POWER_OFF] is State.OFF


def test_every_transition_is_walked() -> None:
    """Each step: what is done, and the move of the table that it must cause."""
    machine = Machine(Settings(speed=1.0, bootdelay=1, password="pw"), Image())
    now = 0.0
    seen: set[tuple[State, Event]] = set()

    fire = machine._fire

    def record(event: Event, at: float) -> None:
        if (machine.state, event) in TRANSITIONS:
            seen.add((machine.state, event))
        fire(event, at)

    machine._fire = record  # type: ignore[method-assign]

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds
        machine.advance(now)

    def wait_for(state: State) -> None:
        nonlocal now
        while machine.state is not state:
            assert machine.next_due is not None, f"stuck in {machine.state}, waiting for {state}"
            now = machine.next_due
            machine.advance(now)

    def type_in(text: str) -> None:
        machine.receive(text.encode(), now)

    machine.power_on(now)
    wait_for(State.COUNTDOWN)
    type_in("x")
    machine.card = Blank()
    type_in("boot\r")
    wait_for(State.PROMPT)
    machine.card = Image()
    type_in("reset\r")
    wait_for(State.LOGIN)
    type_in("root\rwrong\r")
    type_in("root\rpw\rexit\r")
    assert machine.state is State.LOGIN
    type_in("root\rpw\rreboot\r")
    wait_for(State.LOGIN)
    type_in("root\rpw\rpoweroff\r")
    wait_for(State.HALTED)
    for state in set(State) - {State.OFF}:  # power goes away in each state
        machine.power_off(now)
        machine.power_on(now)
        reach(machine, state, wait_for, type_in)
        machine.power_off(now)
        assert machine.state is State.OFF
    never = {(State.FIRMWARE, Event.NO_AUTOBOOT), (State.LOGIN, Event.ACCEPTED)}  # need other settings
    assert seen == set(TRANSITIONS) - never


def reach(machine, state, wait_for, type_in) -> None:  # type: ignore[no-untyped-def]
    if state in (State.FIRMWARE, State.COUNTDOWN, State.LOADING, State.KERNEL, State.LOGIN):
        wait_for(state)
    elif state is State.PROMPT:
        type_in("x")
        wait_for(state)
    elif state is State.PASSWORD:
        wait_for(State.LOGIN)
        type_in("root\r")
    else:
        wait_for(State.LOGIN)
        commands = {
            State.SHELL: "",
            State.STOPPING: "poweroff\r",
            State.RESTARTING: "reboot\r",
            State.HALTED: "halt\r",
        }
        type_in(f"root\rpw\r{commands[state]}")
        wait_for(state)


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_event_that_the_table_does_not_have_changes_nothing(state: State, event: Event) -> None:
    if (state, event) in TRANSITIONS:
        return
    machine = Machine(SETTINGS, Image())
    machine.state = state
    machine._fire(event, 0.0)
    assert (machine.state, machine.take_output()) == (state, b"")


@pytest.mark.parametrize("state", sorted(INTERACTIVE, key=lambda state: state.value))
def test_interactive_states_draw_current(state: State) -> None:
    assert 0.1 < CURRENT[state] < 1.0


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (None, ["no card present", "No bootable device"]),
        (Blank(), ["No bootable device"]),
        (Corrupt("Bad magic"), ["Bad magic", "can't boot"]),
        (Corrupt("Bad data CRC"), ["Bad data CRC", "can't boot"]),
    ],
)
def test_card_that_does_not_boot_ends_at_the_boot_prompt(card: CardContent | None, words: list[str]) -> None:
    machine = booted(card)
    log = said(machine)
    assert machine.state is State.PROMPT
    assert all(word in log for word in words)
    assert log.endswith("\n=> ")
    assert "Starting kernel" not in log


def test_card_decides_which_system_boots() -> None:
    machine = booted(Image(name="Other", version="7.7", kernel="9.9.9"))
    machine.receive(b"root\r", 100.0)
    said(machine)
    assert ask(machine, "uname -r") == "uname -r\n9.9.9\n# "
    machine.insert_card(Image(version="8"), 101.0)
    assert 'VERSION="7.7"' in ask(machine, "cat /etc/os-release"), "a running system keeps running"
    machine.power_off(101.0)
    machine.power_on(102.0)
    machine.advance(200.0)
    assert "Simulated Linux 8 simboard" in said(machine)


@pytest.mark.parametrize("early", [0.0, 0.3, 0.9, 2.3])
def test_key_before_or_during_the_countdown_stops_it(early: float) -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.receive(b"\r\n", early)
    machine.advance(100.0)
    assert machine.state is State.PROMPT
    log = said(machine)
    assert "Hit any key" in log
    assert log.count("=> ") == 1


def test_key_after_the_countdown_is_too_late() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.receive(b"x", 2.5)
    machine.advance(100.0)
    assert machine.state is State.LOGIN


def test_what_was_typed_while_booting_is_no_user_name() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.receive(b"root\r", 3.0)
    machine.advance(100.0)
    assert machine.state is State.LOGIN
    assert said(machine).endswith("login: ")


def test_uart_keeps_only_its_fifo() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.receive(b"k" + b"A" * 1000, 0.0)
    machine.advance(1.0)
    assert said(machine).endswith("=> " + "A" * (UART_FIFO - 1))


def test_negative_bootdelay_waits_at_the_prompt() -> None:
    machine = booted(settings=Settings(bootdelay=-1))
    log = said(machine)
    assert machine.state is State.PROMPT
    assert "Hit any key" not in log


def test_saved_environment_survives_power_off_and_reset_forgets_it() -> None:
    machine = at_prompt()
    ask(machine, "setenv lost 1", 1.0)
    ask(machine, "setenv bootdelay -1; setenv kept 2; saveenv; setenv lost 3", 1.0)
    machine.power_off(2.0)
    machine.power_on(3.0)
    machine.advance(10.0)
    assert machine.state is State.PROMPT
    said(machine)
    assert ask(machine, "printenv kept lost") == ("printenv kept lost\nkept=2\nlost=1\n=> ")
    machine.erase_environment()
    machine.power_off(201.0)
    machine.power_on(202.0)
    machine.advance(300.0)
    assert machine.state is State.LOGIN


def test_bootargs_reach_the_kernel() -> None:
    machine = at_prompt()
    machine.receive(b"setenv bootargs quiet splash\rboot\r", 1.0)
    machine.advance(100.0)
    assert "Kernel command line: quiet splash\n" in said(machine)
    machine.receive(b"root\r", 100.0)
    said(machine)
    assert ask(machine, "cat /proc/cmdline") == "cat /proc/cmdline\nquiet splash\n# "


def test_reset_at_the_boot_prompt_starts_the_firmware_again() -> None:
    machine = at_prompt()
    assert ask(machine, "reset", 1.0).startswith("reset\nresetting ...\n")
    assert machine.state is State.FIRMWARE
    machine.advance(100.0)
    assert machine.state is State.LOGIN


def test_reboot_and_poweroff() -> None:
    machine = at_shell()
    machine.receive(b"reboot\r", 100.0)
    machine.advance(200.0)
    log = said(machine)
    assert log.index("reboot: Restarting system") < log.index("U-Boot") < log.index("login:")
    machine.receive(b"root\rpoweroff\r", 200.0)
    machine.advance(300.0)
    assert said(machine).endswith("reboot: Power down\n")
    assert (machine.state, machine.next_due) == (State.HALTED, None)
    machine.receive(b"root\r", 301.0)
    assert machine.take_output() == b""
    assert machine.current == CURRENT[State.HALTED]


@pytest.mark.parametrize(
    ("keys", "echo"),
    [
        (b"echoo\x7f a\r", "echoo\b \b a\na\n# "),
        (b"xyz\x15echo b\r", "xyz\b \b\b \b\b \becho b\nb\n# "),
        (b"xyz\x03", "xyz^C\n# "),
        (b"\x7f\x7f\r", "\n# "),
        (b"echo 1\r\necho 2\necho 3\r", "echo 1\n1\n# echo 2\n2\n# echo 3\n3\n# "),
        (b"\x1b\x01\r", "\n# "),
        ("echo é\r".encode(), "echo é\né\n# "),
    ],
)
def test_line_editing(keys: bytes, echo: str) -> None:
    machine = at_shell()
    machine.receive(keys, 200.0)
    assert said(machine) == echo


def test_end_of_input_logs_out() -> None:
    machine = at_shell()
    machine.receive(b"\x04", 200.0)
    assert machine.state is State.LOGIN


def test_line_has_a_limit() -> None:
    machine = at_shell()
    machine.receive(b"A" * (MAX_LINE + 3), 200.0)
    assert machine.take_output() == b"A" * MAX_LINE + b"\a" * 3


def test_password_is_asked_and_not_echoed() -> None:
    machine = booted(settings=Settings(password="s3cret"))
    said(machine)
    machine.receive(b"root\rs3cret\r", 100.0)
    assert said(machine) == "root\nPassword: \n# "


@pytest.mark.parametrize(("user", "password"), [("root", "wrong"), ("root", ""), ("guest", "s3cret")])
def test_wrong_password_is_refused(user: str, password: str) -> None:
    machine = booted(settings=Settings(password="s3cret"))
    said(machine)
    machine.receive(f"{user}\r{password}\r".encode(), 100.0)
    assert machine.state is State.LOGIN
    assert "Login incorrect\n" in said(machine)


def test_unknown_user_is_refused_when_root_has_no_password() -> None:
    machine = booted()
    machine.receive(b"guest\r\r", 100.0)
    assert "Login incorrect" in said(machine)


def test_empty_user_name_asks_again() -> None:
    machine = booted()
    said(machine)
    assert ask(machine, "") == "\nsimboard login: "


def test_voltage_drops_with_the_current() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.advance(3.5)
    assert machine.state is State.KERNEL
    kernel = machine.voltage
    machine.advance(100.0)
    assert 4.9 < kernel < machine.voltage < 5.0


def test_power_off_in_mid_sentence_keeps_quiet() -> None:
    machine = Machine(SETTINGS, Image())
    machine.power_on(0.0)
    machine.power_off(0.5)
    said(machine)
    machine.advance(100.0)
    assert (machine.take_output(), machine.next_due) == (b"", None)
    machine.power_on(101.0)
    machine.advance(200.0)
    assert said(machine) == said(booted()), "the second boot is as the first"
