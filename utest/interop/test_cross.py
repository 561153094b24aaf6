"""Our client drives an upstream exporter, and an upstream client ours, over unix sockets and direct TCP.

Every test runs once for each of the four pairs; the client is a process of its own that attaches as
any script in a `jmp shell` does.
"""

from __future__ import annotations

from typing import Any

import pytest

from utest.interop.conftest import Pair

pytestmark = pytest.mark.timeout(300)


def test_report_names_the_whole_tree(pair: Pair) -> None:
    assert pair.scenario("tree") == ["faulty", "muxflash", "power", "serial", "shell", "storage", "tcp"]


def test_power_turns_on_reads_and_turns_off(pair: Pair) -> None:
    assert pair.scenario("power") == [[0.0, 0.0], [5.0, 2.0]]


def test_serial_stream_carries_bytes_both_ways(pair: Pair) -> None:
    assert pair.scenario("serial_stream") == "Hello, board!"


def test_serial_console_answers_to_pexpect(pair: Pair) -> None:
    assert pair.scenario("serial_expect") == "a"


def test_stream_keeps_order_and_content(pair: Pair) -> None:
    assert pair.scenario("stream_keeps_order") is True


def test_storage_methods(pair: Pair) -> None:
    assert pair.scenario("storage_bytes") == {
        "read": "content",
        "hash": "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
        "md5": "9a0364b9e99bb480dd25e1f0284c8555",
        "list": ["dir/", "dir/file.txt", "dir/renamed.txt"],
        "is_file": True,
        "length": 7,
        "exists": [True, False],
        "capability": True,
        "after": False,
    }


def test_upload_and_download_keep_every_byte(pair: Pair) -> None:
    payload, on_exporter, back = pair.scenario("storage_upload_and_download")
    assert payload == on_exporter == back


def test_remote_file_seeks_and_tells(pair: Pair) -> None:
    assert pair.scenario("storage_file") == [3, "3456789", 10, True, False]


@pytest.mark.parametrize("how", ["plain", "gzip", "xz", "bz2", "zstd"])
def test_flash_stores_the_unpacked_image(how: str, pair: Pair) -> None:
    payload, dumped = pair.scenario(f"flash_{how}")
    assert dumped == payload


def test_shell_methods_give_output_and_exit_code(pair: Pair) -> None:
    assert pair.scenario("shell") == {
        "hello": ["Hello world\n", "", 0],
        "environment": ["hi there\n", "", 0],
        "fails": ["", "oops\n", 3],
    }


def test_shell_client_gives_what_its_own_documents_promise(pair: Pair) -> None:
    expected = {"ours": [["Hello world\n", "", 0], ["", "oops\n", 3]], "upstream": [0, 3]}
    assert pair.scenario("shell_client") == expected[pair.client.name]


@pytest.fixture(scope="module")
def errors(pair: Pair) -> Any:
    return pair.scenario("errors")


@pytest.mark.parametrize(
    ("method", "caught_as", "says"),
    [
        ("value_error", {"DriverInvalidArgument", "DriverError", "ValueError"}, "the value is bad"),
        (
            "not_implemented",
            {"DriverMethodNotImplemented", "DriverError", "NotImplementedError"},
            "this board cannot do it",
        ),
        ("runtime_error", {"DriverError", "JumpstarterException"}, "the device is broken"),
        ("timeout_error", {"DriverError", "JumpstarterException"}, "the device is silent"),
        ("hidden", {"DriverMethodNotImplemented", "NotImplementedError"}, "hidden"),
        ("no_such_method", {"DriverMethodNotImplemented", "NotImplementedError"}, "no_such_method"),
        ("breaks_after", {"DriverInvalidArgument", "ValueError"}, "no more"),
    ],
)
def test_error_of_a_driver_arrives_as_its_class_with_its_words(
    method: str, caught_as: set[str], says: str, errors: Any
) -> None:
    classes, text = errors["found"][method]
    assert caught_as <= set(classes)
    assert says in text


def test_items_before_an_error_arrive_and_the_exporter_lives_on(errors: Any) -> None:
    assert errors["received"] == [0, 1, 2]
    assert errors["alive"] == "still here"


def test_values_come_back_as_they_were_sent(pair: Pair) -> None:
    for sent, echoed, echoed_async in pair.scenario("values"):
        assert sent == echoed == echoed_async


def test_streamed_items_all_arrive(pair: Pair) -> None:
    assert pair.scenario("items") == [499500, 499500]


def test_log_line_of_a_driver_reaches_the_client(pair: Pair) -> None:
    assert pair.scenario("logs") is True


def test_port_forward_carries_a_megabyte_and_the_end_of_both_directions(pair: Pair) -> None:
    assert pair.scenario("port_forward") == [1 << 20, True]


def test_port_forward_serves_connection_after_connection(pair: Pair) -> None:
    assert pair.scenario("many_connections") == list(range(20))
