"""Identities and their tokens, as operations on a draft."""

from __future__ import annotations

from pathlib import Path

import pytest
from jumpstarter_controller.identity.keys import KeyRing
from jumpstarter_controller.identity.tokens import TokenService
from jumpstarter_controller.model import NotPermitted, Role, WrongState
from jumpstarter_controller.runtime import identities
from jumpstarter_controller.runtime.draft import Draft, Records

from utest.jumpstarter_controller.labs import NOW, client


@pytest.fixture
def tokens(tmp_path: Path) -> TokenService:
    return TokenService(KeyRing.open(tmp_path), now=lambda: NOW)


@pytest.fixture
def draft() -> Draft:
    return Draft(Records(clients={"anna": client("anna")}), NOW)


def test_revoked_token_is_not_renewed(draft: Draft, tokens: TokenService) -> None:
    first = identities.issue(draft, tokens, "default", Role.CLIENT, "anna")
    identities.rotate(draft, tokens, "default", Role.CLIENT, "anna", "admin")
    with pytest.raises(NotPermitted, match="the token is revoked"):
        identities.renew(draft, tokens, "default", Role.CLIENT, "anna", "anna", first.id)


def test_renewed_token_may_be_renewed_again_while_it_is_valid(draft: Draft, tokens: TokenService) -> None:
    first = identities.issue(draft, tokens, "default", Role.CLIENT, "anna")
    for _ in range(2):  # the answer to the first one was lost
        identities.renew(draft, tokens, "default", Role.CLIENT, "anna", "anna", first.id)
    draft.now = NOW + identities.RENEWAL_GRACE
    with pytest.raises(NotPermitted, match="expired"):
        identities.renew(draft, tokens, "default", Role.CLIENT, "anna", "anna", first.id)


def test_identity_has_so_many_valid_tokens_at_the_most(draft: Draft, tokens: TokenService) -> None:
    for _ in range(identities.MAX_TOKENS):
        last = identities.issue(draft, tokens, "default", Role.CLIENT, "anna")
    with pytest.raises(WrongState, match=r"client 'anna' has 100 valid tokens.*jmp admin rotate client anna"):
        identities.issue(draft, tokens, "default", Role.CLIENT, "anna")
    with pytest.raises(WrongState, match="100 valid tokens"):
        identities.renew(draft, tokens, "default", Role.CLIENT, "anna", "anna", last.id)
    identities.rotate(draft, tokens, "default", Role.CLIENT, "anna", "admin")
    identities.issue(draft, tokens, "default", Role.CLIENT, "anna")
