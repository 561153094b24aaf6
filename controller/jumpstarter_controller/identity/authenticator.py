"""Who calls: the question that every service asks, and the answer by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, Protocol

from jumpstarter_controller.model import Role, Token

from .tokens import Claims, TokenRefused, TokenService

KIND: Final = "jumpstarter-kind"
NAMESPACE: Final = "jumpstarter-namespace"
NAME: Final = "jumpstarter-name"
AUTHORIZATION: Final = "authorization"

Metadata = Sequence[tuple[str, str | bytes]]

#: Verified tokens that are remembered: verifying one takes longer than most calls.
REMEMBERED: Final = 20_000


@dataclass(frozen=True)
class Principal:
    """Who calls. *token_id* is empty for a token of a stock installation; *claims* are what a token said."""

    role: Role
    namespace: str
    name: str
    token_id: str
    claims: Claims | None = None

    def __str__(self) -> str:
        return f"{self.role.value}/{self.namespace}/{self.name}"


class Why(Enum):
    """Why a caller is not known; services make status codes of it."""

    NO_TOKEN = "no token"
    MALFORMED = "malformed"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"


class NotAuthenticated(Exception):
    """Raised when it is not clear who calls. The text never holds the token."""

    def __init__(self, why: Why, message: str) -> None:
        super().__init__(message)
        self.why = why


class Authenticator(Protocol):
    """Tells who calls from the metadata of a call."""

    async def authenticate(self, metadata: Metadata) -> Principal:
        """Raises NotAuthenticated."""
        ...

    def check_again(self, caller: Principal, directory: Directory | None = None) -> None:
        """Raises NotAuthenticated when *caller* is not who they were any more, now or by what *directory* says."""
        ...


class Directory(Protocol):
    """What is looked up about an identity."""

    def uid(self, role: Role, name: str) -> str | None:
        """The uid of an identity that exists, else None."""
        ...

    def token(self, token_id: str) -> Token | None:
        """What is kept of a token that was issued, else None."""
        ...

    def rotated_at(self, role: Role, name: str) -> datetime | None:
        """When tokens of that identity were last revoked, None if never."""
        ...


class TokenAuthenticator:
    """Knows callers by the tokens that the lab issued, and those of a stock installation where that is set up."""

    def __init__(self, tokens: TokenService, directory: Directory, namespace: str) -> None:
        self._tokens = tokens
        self._directory = directory
        self._namespace = namespace
        self._verified: dict[str, Claims] = {}

    async def authenticate(self, metadata: Metadata) -> Principal:
        text = bearer_token(metadata)
        try:
            claims = self._verify(text)
        except TokenRefused as error:
            raise NotAuthenticated(Why.REFUSED, str(error)) from None
        self._check_names(metadata, claims)
        self._check_record(claims, self._directory)
        return Principal(claims.role, claims.namespace, claims.name, claims.token_id, claims)

    def check_again(self, caller: Principal, directory: Directory | None = None) -> None:
        if caller.claims is not None:
            self._check_record(caller.claims, directory or self._directory)

    def _verify(self, text: str) -> Claims:
        known = self._verified.get(text)
        if known is not None and self._tokens.now() < known.expires:
            return known
        claims = self._tokens.verify(text)
        if len(self._verified) >= REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[text] = claims
        return claims

    def _check_names(self, metadata: Metadata, claims: Claims) -> None:
        """What a call says about its sender has to be what the token says."""
        for key, value in ((NAMESPACE, claims.namespace), (NAME, claims.name), (KIND, claims.role.value)):
            # Administrators need say nothing but their token, others what stock clients say.
            optional = claims.role is Role.ADMINISTRATOR or key == NAME
            found = one(metadata, key, optional=optional)
            if found is None:
                continue
            if key == KIND and found.lower() != value:
                raise NotAuthenticated(
                    Why.MALFORMED,
                    f"object kind mismatch: {KIND} says '{found}', the token is that of a {value}",
                )
            if key != KIND and found != value:
                raise NotAuthenticated(
                    Why.FORBIDDEN, f"permission denied: {key} says '{found}', the token is for '{value}'"
                )
        if claims.namespace != self._namespace:
            raise NotAuthenticated(
                Why.FORBIDDEN,
                f"permission denied: namespace mismatch: this lab serves '{self._namespace}', "
                f"the token is for '{claims.namespace}'",
            )

    def _check_record(self, claims: Claims, directory: Directory) -> None:
        uid = directory.uid(claims.role, claims.name)
        if uid is None:
            raise NotAuthenticated(
                Why.REFUSED,
                f"{claims.role.value} '{claims.name}' does not exist in this lab; ask its administrator for a configuration",
            )
        if claims.token_id:
            token = directory.token(claims.token_id)
            if token is None or uid != claims.uid:
                raise NotAuthenticated(Why.REFUSED, "the token is revoked: ask for a new configuration")
            if token.revoked_at is not None:
                raise NotAuthenticated(Why.REFUSED, "the token is revoked, it was rotated: use the new one")
            now = self._tokens.now()
            if now >= claims.expires:
                raise NotAuthenticated(Why.REFUSED, "token is expired; ask for a new one")
            if not token.is_valid(now):
                raise NotAuthenticated(Why.REFUSED, "token is expired: it was rotated, use the new one")
        else:
            # When it was issued is of no account: whoever has the key of the stock installation may write what they like.
            if directory.rotated_at(claims.role, claims.name) is not None:
                raise NotAuthenticated(Why.REFUSED, "the token is revoked, it was rotated: use the new one")


def bearer_token(metadata: Metadata) -> str:
    """The token of a call. Raises NotAuthenticated."""
    found = [value for key, value in metadata if key == AUTHORIZATION]
    if not found:
        raise NotAuthenticated(
            Why.NO_TOKEN, "no authorization: expected metadata 'authorization: Bearer TOKEN'"
        )
    if len(found) > 1:
        raise NotAuthenticated(Why.MALFORMED, "several authorization entries; expected one")
    value = found[0]
    scheme, _, token = (value.decode("latin-1") if isinstance(value, bytes) else value).strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated(Why.MALFORMED, "authorization is malformed; expected 'Bearer TOKEN'")
    return token.strip()


def one(metadata: Metadata, key: str, *, optional: bool = False) -> str | None:
    """The one value of *key*. Raises NotAuthenticated for several, and for none unless it is *optional*."""
    found = [value for name, value in metadata if name == key]
    if len(found) > 1:
        raise NotAuthenticated(Why.MALFORMED, f"several values of metadata {key}; expected one")
    if not found:
        if optional:
            return None
        raise NotAuthenticated(Why.MALFORMED, f"metadata {key} is missing")
    value = found[0]
    return value.decode("latin-1") if isinstance(value, bytes) else value
