"""Secrets do not get into what people see."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest
from jumpstarter.common import exceptions
from jumpstarter.common.errors import one_line, status_of
from jumpstarter.common.secrets import mask, without_secrets

TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjbGllbnQ6YTpiOmMifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIGl\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"the token {TOKEN} is not valid", "the token (token) is not valid"),
        (f"authorization: Bearer {TOKEN}", "authorization: Bearer (token)"),
        ("authorization: Bearer 0123456789abcdef0123", "authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "Authorization: Basic ***"),
        ("GET http://user:s3cr3t@host/img failed", "GET http://***@host/img failed"),
        ("GET https://s3cr3t@host:8443/img", "GET https://***@host:8443/img"),
        ("GET http://user:s3@cr3t@host/img, http://h/x", "GET http://***@host/img, http://h/x"),
        ("https://s/x?X-Amz-Signature=abc123&part=1", "https://s/x?X-Amz-Signature=***&part=1"),
        ("https://s/x?sig=abc&token=def", "https://s/x?sig=***&token=***"),
        (f"key {PEM} end", "key (private key) end"),
        ("nothing of a basic exporter at http://host/a@b is hidden", "nothing of a basic exporter at http://host/a@b is hidden"),
        ("", ""),
    ],
)  # fmt: skip
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown


def errors() -> list[type[exceptions.JumpstarterException]]:
    """All classes of the tree."""
    found = [each for _, each in inspect.getmembers(exceptions, inspect.isclass)]
    return [each for each in found if issubclass(each, exceptions.JumpstarterException)]


@pytest.mark.parametrize("kind", errors())
def test_every_error_masks_its_message_and_its_cause(kind: Any) -> None:
    error = (
        kind(f"refused: {TOKEN}", "a.b")
        if kind is exceptions.MissingDriverError
        else kind(f"refused: {TOKEN}")
    )
    for text in (str(error), repr(error), one_line(error)):
        assert TOKEN not in text
    error.__cause__ = OSError(f"http://user:{'pw'}@host")
    assert "pw" not in str(error)


def test_errors_of_others_are_masked_where_they_are_shown() -> None:
    error = RuntimeError(f"cannot log in with {TOKEN}")
    assert one_line(error) == "RuntimeError: cannot log in with (token)"
    assert status_of(error)[1] == "cannot log in with (token)"


@pytest.mark.parametrize("times", [False, True])
def test_log_lines_are_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, times: bool
) -> None:
    from jumpstarter_cli import logs

    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    logs.configure("INFO", times=times)
    logging.getLogger("jumpstarter.test").info("fetched %s with %s", "http://a:b@host", TOKEN)
    assert capsys.readouterr().err.endswith("INFO:jumpstarter.test:fetched http://***@host with (token)\n")


def test_lists_hide_what_stands_under_the_key_of_a_secret() -> None:
    found = {
        "token": TOKEN,
        "name": "x",
        "items": [{"db_password": "p", "url": "http://a:b@c"}],
        "refresh_token": None,
    }
    assert without_secrets(found) == {
        "token": "(not shown)",
        "name": "x",
        "items": [{"db_password": "(not shown)", "url": "http://***@c"}],
        "refresh_token": None,
    }


def test_log_lines_for_clients_are_masked() -> None:
    from jumpstarter.session.logs import LogHub

    record = logging.LogRecord("driver", logging.INFO, "", 1, "with %s", (TOKEN,), None)
    assert LogHub().line_of(record).message == "with (token)"


def test_tracebacks_are_masked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from jumpstarter_cli import logs

    monkeypatch.setattr(logs, "_requested", "DEBUG")
    logs.log_traceback(OSError(f"refused: {TOKEN}"))
    assert capsys.readouterr().err == "OSError: refused: (token)\n"
