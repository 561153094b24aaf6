"""Tokens are accepted when this lab issued them, or a stock installation whose key it was given."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jumpstarter_controller.identity.keys import KeyRing, add_key
from jumpstarter_controller.identity.tokens import TokenRefused, TokenService
from jumpstarter_controller.identity.upstream import GoRandom, take_bytes, upstream_key
from jumpstarter_controller.model import Role

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def service(folder: Path, **more: object) -> TokenService:
    return TokenService(KeyRing.open(folder), now=lambda: NOW, **more)  # type: ignore[arg-type]


def test_token_says_who_it_is_for(tmp_path: Path) -> None:
    tokens = service(tmp_path)
    token = tokens.issue(Role.EXPORTER, "lab", "board-1", "uid-1")
    claims = service(tmp_path).verify(token.text)
    assert (claims.role, claims.namespace, claims.name, claims.uid) == (
        Role.EXPORTER,
        "lab",
        "board-1",
        "uid-1",
    )
    assert claims.token_id == token.id
    assert claims.expires == NOW + timedelta(days=365)


def test_payload_is_what_stock_clients_read(tmp_path: Path) -> None:
    payload = service(tmp_path).issue(Role.CLIENT, "default", "alice", "u").text.split(".")[1]
    claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["iss"] == "https://localhost:8085"
    assert claims["aud"] == ["jumpstarter"]
    assert claims["sub"] == "client:default:alice:u"
    assert claims["exp"] - claims["iat"] == 365 * 86400


def test_expired_token_is_refused_in_the_words_that_clients_look_for(tmp_path: Path) -> None:
    token = service(tmp_path, lifetime=timedelta(0)).issue(Role.CLIENT, "default", "alice", "u")
    with pytest.raises(TokenRefused, match="token is expired"):
        service(tmp_path).verify(token.text)


def test_token_of_another_lab_is_refused(tmp_path: Path) -> None:
    token = service(tmp_path / "other").issue(Role.CLIENT, "default", "alice", "u")
    with pytest.raises(TokenRefused, match="signed by a key that this controller does not have"):
        service(tmp_path / "own").verify(token.text)


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", "é.é.é", "a" * 10_000])
def test_what_is_no_token_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        service(tmp_path).verify(text)
    assert len(text) < 2 or text not in str(refused.value)


def test_changed_token_is_refused(tmp_path: Path) -> None:
    text = service(tmp_path).issue(Role.CLIENT, "default", "alice", "u").text
    head, _, signature = text.split(".")
    other = service(tmp_path).issue(Role.ADMINISTRATOR, "default", "root", "u").text.split(".")[1]
    with pytest.raises(TokenRefused):
        service(tmp_path).verify(".".join((head, other, signature)))
    with pytest.raises(TokenRefused):
        service(tmp_path).verify(jwt.encode({"sub": "client:a:b:c"}, "", algorithm="none"))


def test_tokens_of_an_older_key_stay_valid_until_its_file_is_gone(tmp_path: Path) -> None:
    token = service(tmp_path).issue(Role.CLIENT, "default", "alice", "u")
    old = next(tmp_path.glob("*.pem"))
    add_key(tmp_path)
    tokens = service(tmp_path)
    assert tokens.verify(token.text).name == "alice"
    assert tokens.keys.signing_id != old.stem
    old.unlink()
    with pytest.raises(TokenRefused, match="does not have"):
        service(tmp_path).verify(token.text)


def test_signing_keys_are_private(tmp_path: Path) -> None:
    service(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.glob("*.pem")] == [0o600]


def test_generator_of_go_is_reproduced() -> None:
    # The first number of Go's rand.New(rand.NewSource(1)).Int63(), and what rand.Intn(100) gives for it.
    assert GoRandom(1).int63() == 5577006791947779410
    source = GoRandom(1)
    assert [(source.int63() >> 32) % 100 for _ in range(10)] == [81, 87, 47, 59, 81, 18, 25, 40, 56, 0]
    assert take_bytes(GoRandom(1), 7) == (5577006791947779410 & (2**56 - 1)).to_bytes(7, "little")


def stock_token(private: ec.EllipticCurvePrivateKey, **more: object) -> str:
    claims: dict[str, object] = {
        "iss": "https://localhost:8085",
        "aud": ["jumpstarter"],
        "sub": "client:default:alice:u",
        "iat": int(NOW.timestamp()) - 5,
        "exp": int(NOW.timestamp()) + 60,
    }
    claims = {key: value for key, value in (claims | more).items() if value is not None}
    return jwt.encode(claims, private, algorithm="ES256")


def test_token_of_a_stock_installation_is_accepted_when_its_key_is_given(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    token = stock_token(private)
    with pytest.raises(TokenRefused, match="names no key"):
        service(tmp_path).verify(token)
    claims = service(tmp_path, foreign_key=private.public_key()).verify(token)
    assert (claims.name, claims.token_id) == ("alice", "")
    with pytest.raises(TokenRefused):
        service(tmp_path, foreign_key=upstream_key(b"another")).verify(token)
    assert upstream_key(b"key").public_numbers() == upstream_key(b"key").public_numbers()


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"sub": "administrator:default:admin:administrator"}, "cannot be that of an administrator"),
        ({"iat": int(NOW.timestamp()) + 1}, "issued in the future"),
        ({"iat": None}, "iat"),
        ({"exp": None}, "exp"),
        ({"exp": 10**30}, "beyond the calendar"),
        ({"exp": "never"}, "not numbers"),
        ({"sub": "client:default:alice"}, "subject"),
        ({"sub": "root:default:alice:u"}, "subject"),
        ({"aud": None}, "aud"),
        ({"iss": "https://elsewhere"}, "ssuer"),
    ],
)
def test_token_of_a_stock_installation_needs_what_it_needs(
    tmp_path: Path, claims: dict[str, object], text: str
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(TokenRefused, match=text):
        service(tmp_path, foreign_key=private.public_key()).verify(stock_token(private, **claims))


def test_number_in_a_token_of_a_stock_installation_is_of_no_account(tmp_path: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    tokens = service(tmp_path, foreign_key=private.public_key())
    ours = tokens.issue(Role.CLIENT, "default", "alice", "u")
    assert tokens.verify(stock_token(private, jti=ours.id)).token_id == ""


def test_token_of_ours_without_a_number_is_refused(tmp_path: Path) -> None:
    tokens = service(tmp_path)
    claims = jwt.decode(
        tokens.issue(Role.ADMINISTRATOR, "default", "admin", "u").text, options={"verify_signature": False}
    )
    del claims["jti"]
    text = jwt.encode(claims, tokens.keys.private, algorithm="ES256", headers={"kid": tokens.keys.signing_id})
    with pytest.raises(TokenRefused, match="jti"):
        tokens.verify(text)
