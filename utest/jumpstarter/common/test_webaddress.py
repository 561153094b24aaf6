from __future__ import annotations

import base64

import pytest
from jumpstarter.common.webaddress import file_name, is_this_machine, is_url, redact, web_address


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("http://host", "http://host/"),
        ("HTTP://Host:80/a", "http://host/a"),
        ("https://host:443?x=1", "https://host/?x=1"),
        ("http://host:8080/a b.img", "http://host:8080/a%20b.img"),
        ("http://host/a%20b.img", "http://host/a%20b.img"),
        ("http://host/100%.img", "http://host/100%.img"),
        ("http://host/größe.img", "http://host/gr%C3%B6%C3%9Fe.img"),
        ("http://host/a.img#part", "http://host/a.img"),
        ("http://host/a?q=ü b#x?y", "http://host/a?q=%C3%BC%20b"),
        ("http://bücher.example/a", "http://xn--bcher-kva.example/a"),
        ("http://[::1]:81/a", "http://[::1]:81/a"),
        ("http:\\\\host\\a\\b", "http://host/a/b"),
        ("  http://host/a\n", "http://host/a"),
        ("http://ho\nst/a\tb", "http://host/ab"),
        ("http://host/\udcff", "http://host/%FF"),
        ("http://host/a;b=c,d!(e)*'~@:$&+", "http://host/a;b=c,d!(e)*'~@:$&+"),
    ],
)
def test_an_address_is_taken_as_a_browser_takes_it(typed: str, asked: str) -> None:
    assert is_url(typed)
    assert web_address(typed).url == asked
    assert web_address(asked).url == asked
    assert web_address(typed).headers == {}


@pytest.mark.parametrize(
    ("typed", "user"),
    [
        ("http://user:secret@host/a", "user:secret"),
        ("http://user@host/a", "user:"),
        ("http://user:p%40ss%3A@host/a", "user:p@ss:"),
        ("http://user:p@ss@host/a", "user:p@ss"),
        ("http://üser:pä ss@host/a", "üser:pä ss"),
        ("http://:secret@host/a", ":secret"),
    ],
)
def test_user_and_password_become_a_header(typed: str, user: str) -> None:
    address = web_address(typed)
    assert (address.url, address.headers) == ("http://host/a", basic(user))
    assert user.split(":")[1] not in repr(address) or user.endswith(":")


def test_no_user_is_no_header() -> None:
    assert web_address("http://@host/").headers == web_address("http://:@host/").headers == {}


@pytest.mark.parametrize(
    "typed",
    [
        "http://user:12/secret@host/a",
        "http://user:se#cret@host/a",
        "http://user:se?cret@host/a",
        "http://host:99999/",
        "http://",
        "http://ho st/",
        "http://h<secret>/",
        "http://[::1/secret",
        "http://user:secret@" + "ü" * 70 + "/",
        "ftp://user:secret@host/",
        "secret",
    ],
)
def test_what_is_no_address_is_one_line_without_secrets(typed: str) -> None:
    if typed == "http://user:12/secret@host/a":
        # A browser takes this for port 12 of the host user; so do others.
        assert web_address(typed).origin == ("http", "user", 12)
        return
    with pytest.raises(ValueError) as error:
        web_address(typed)
    assert "secret" not in str(error.value)
    assert "cret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert "secret" not in redact(typed)


def test_what_is_shown_has_no_secrets() -> None:
    assert redact("https://user:secret@host/a.img?token=secret#x") == "https://host/a.img?..."
    assert file_name("http://user:secret@host/d/a%20b.img?token=secret") == "a b.img"
    assert file_name("http://user:secret@host") == "host"


def test_paths_are_no_addresses() -> None:
    for path in ("http", "http:x", "./http://x", "C:\\x", "", b"http://x", None):
        assert not is_url(path)


def test_which_addresses_mean_this_machine() -> None:
    for host in (
        "localhost",
        "LOCALHOST:80",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9:1",
        "[::1]",
        "u:p@localhost",
    ):
        assert is_this_machine(f"http://{host}/x")
    for host in ("localhost.example", "10.0.0.1", "128.0.0.1", "[::2]", "example.com"):
        assert not is_this_machine(f"http://{host}/x")
