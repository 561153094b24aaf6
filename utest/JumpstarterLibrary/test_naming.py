import pytest

from JumpstarterLibrary.naming import (
    Method,
    alias_name,
    assign,
    canonical_name,
    is_hidden,
    normalize,
    root_prefix,
    title,
)


def method(text: str) -> Method:
    *path, name = text.split(".")
    return Method(tuple(path), name)


@pytest.mark.parametrize(
    ("path", "canonical", "alias"),
    [
        ("power.on", "Power On", None),
        ("power.cycle", "Power Cycle", None),
        ("power.read", "Power Read", "Read Power"),
        ("serial.read_until", "Serial Read Until", "Read Serial Until"),
        ("serial.write", "Serial Write", "Write Serial"),
        ("storage.flash", "Storage Flash", "Flash Storage"),
        ("storage.host", "Storage Host", None),
        ("storage.write_local_file", "Storage Write Local File", "Write Storage Local File"),
        ("video.snapshot", "Video Snapshot", None),
        ("dut.power.on", "Dut Power On", None),
        ("serial0.read", "Serial0 Read", "Read Serial0"),
        ("rpi-4.uart_a.read", "Rpi 4 Uart A Read", "Read Rpi 4 Uart A"),
        ("bus.sendall", "Bus Sendall", None),
    ],
)
def test_a_name_is_the_path_then_the_method_and_the_alias_the_verb_first(path, canonical, alias):
    assert canonical_name(method(path)) == canonical
    assert alias_name(method(path)) == alias


@pytest.mark.parametrize(
    "name", ["cli", "close", "_read", "stream", "streamingcall", "open_stream", "log_stream", "x_async"]
)
def test_plumbing_is_hidden(name):
    assert is_hidden(name)


@pytest.mark.parametrize("name", ["on", "read", "flash", "closed_loop", "address"])
def test_driver_methods_are_shown(name):
    assert not is_hidden(name)


def test_normalize_folds_as_robot_does():
    assert normalize("Serial Read_Until") == normalize("serialREADuntil") == "serialreaduntil"


def test_a_name_keeps_capitals_inside_words():
    assert title("usbHub", "set_vBUS") == "UsbHub Set VBUS"


@pytest.mark.parametrize(
    ("client", "prefix"), [("PowerClient", "power"), ("PySerialClient", "py_serial"), ("Client", "client")]
)
def test_a_driver_at_the_root_is_named_after_its_client(client, prefix):
    assert root_prefix(client) == prefix


def test_equal_canonical_names_are_offered_for_no_method():
    first, second = method("serial.read.until"), method("serial.read_until")
    names = assign([first, second, method("serial.write")])
    assert list(names.canonical) == ["Serial Write"]
    assert names.rejected == {"Serial Read Until": (first, second)}


def test_names_that_differ_in_what_robot_ignores_are_equal():
    names = assign([method("usb_hub.on"), method("usbhub.on"), method("UsbHub.On")])
    assert names.canonical == {}
    assert len(names.rejected) == 1


def test_a_canonical_name_wins_over_an_alias():
    # "Read Serial" is the alias of serial.read and the canonical name of read.serial
    names = assign([method("serial.read"), method("read.serial")])
    assert set(names.canonical) == {"Serial Read", "Read Serial"}
    assert names.canonical["Read Serial"] == method("read.serial")
    assert names.aliases == {}
    assert names.dropped == ("Read Serial",)


def test_an_alias_that_two_want_is_given_to_neither():
    first, second = method("a.b.read"), method("a.read_b")
    names = assign([first, second])
    assert set(names.canonical) == {"A B Read", "A Read B"}
    assert names.aliases == {}
    assert names.dropped == ("Read A B",)


def test_a_reserved_name_gets_a_prefix():
    names = assign([method("log.many"), method("log.few")], reserved=["Log Many"])
    assert set(names.canonical) == {"Driver Log Many", "Log Few"}


def test_an_alias_keeps_clear_of_reserved_names():
    names = assign([method("variable.set")], reserved=["Set Variable"])
    assert set(names.canonical) == {"Variable Set"}
    assert names.aliases == {}


def test_methods_of_equal_paths_and_different_nodes_are_told_apart():
    wrapper, child = Method(("board",), "reset", ("board",)), Method(("board",), "reset", ("board", "board"))
    names = assign([wrapper, child])
    assert names.rejected == {"Board Reset": (wrapper, child)}
    assert [str(m) for m in names.rejected["Board Reset"]] == ["board.reset", "board.board.reset"]
