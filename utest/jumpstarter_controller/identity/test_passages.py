"""The keys of a passage open that passage only; its ticket lets in its client only."""

from __future__ import annotations

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from jumpstarter.common.passages import EXPORTER_NAME
from jumpstarter_controller.identity.passages import PassageAuthority, PassageKeys, TicketRefused
from jumpstarter_controller.identity.tokens import Claims
from jumpstarter_controller.model import Role

SECRET = b"s" * 32
NOW = datetime.now(UTC)
CLAIMS = Claims(Role.CLIENT, "lab", "anna", "uid-1", "token-1", NOW, NOW + timedelta(hours=1))


def context(folder: Path, side: int, keys: PassageKeys) -> ssl.SSLContext:
    made = ssl.SSLContext(side)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(cadata=keys.authority)
    (folder / "pair.pem").write_text(keys.certificate + keys.key)
    made.load_cert_chain(folder / "pair.pem")
    return made


def handshake(folder: Path, client: PassageKeys, exporter: PassageKeys) -> None:
    """Shake hands as gRPC's peers do. Raises ssl.SSLError when one of them does not accept the other."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = context(folder, ssl.PROTOCOL_TLS_CLIENT, client).wrap_bio(down, up, server_hostname=EXPORTER_NAME)
    other = context(folder, ssl.PROTOCOL_TLS_SERVER, exporter).wrap_bio(up, down, server_side=True)
    waiting = [one, other]
    for _ in range(10):
        for each in list(waiting):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(each)
    assert not waiting
    one.write(b"through")
    assert other.read() == b"through"  # TLS 1.3: here the client learns that it is not accepted


def test_both_sides_accept_each_other_also_after_a_restart(tmp_path: Path) -> None:
    exporter = PassageAuthority(SECRET).keys("lease", "anna", Role.EXPORTER)
    handshake(tmp_path, PassageAuthority(SECRET).keys("lease", "anna", Role.CLIENT), exporter)


@pytest.mark.parametrize(
    ("lease", "client", "secret", "side"),
    [
        ("other", "anna", SECRET, Role.CLIENT),
        ("lease", "ben", SECRET, Role.CLIENT),
        ("lease", "anna", b"x" * 32, Role.CLIENT),
        ("lease", "anna", SECRET, Role.EXPORTER),  # keys of an exporter are none of a client
    ],
)
def test_nobody_else_is_accepted(tmp_path: Path, lease: str, client: str, secret: bytes, side: Role) -> None:
    exporter = PassageAuthority(SECRET).keys("lease", "anna", Role.EXPORTER)
    stranger = PassageAuthority(secret).keys(lease, client, side)
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, replace(stranger, authority=exporter.authority), exporter)


def test_a_client_accepts_no_other_client_as_its_exporter(tmp_path: Path) -> None:
    authority = PassageAuthority(SECRET)
    keys = [authority.keys("lease", "anna", Role.CLIENT) for _ in range(2)]
    with pytest.raises(ssl.SSLError):
        handshake(tmp_path, keys[0], keys[1])


def test_a_ticket_says_whose_lease_it_is_for() -> None:
    authority = PassageAuthority(SECRET)
    lease, principal = authority.check(authority.ticket("lease", CLAIMS))
    assert (lease, str(principal), principal.token_id) == ("lease", "client/lab/anna", "token-1")
    assert principal.claims is not None
    assert abs(principal.claims.expires - CLAIMS.expires) < timedelta(seconds=1)


def test_tickets_that_are_none() -> None:
    authority = PassageAuthority(SECRET)
    ended = replace(CLAIMS, expires=NOW - timedelta(minutes=10))
    tickets = [
        "",
        "rubbish",
        PassageAuthority(b"x" * 32).ticket("lease", CLAIMS),
        authority.ticket("lease", ended),
        authority.ticket("lease", CLAIMS) + "A",
    ]
    for ticket in tickets:
        with pytest.raises(TicketRefused, match="not one of this lab's, or has expired"):
            authority.check(ticket)
