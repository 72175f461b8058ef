import base64
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.access.tokens import TokenKind, hash_token, new_token

ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize("kind", TokenKind)
def test_new_token_has_at_least_128_random_bits(kind: TokenKind) -> None:
    prefix, _, random = new_token(kind).partition("_")
    assert prefix == f"rc{kind[0]}"
    assert len(base64.urlsafe_b64decode(random)) * 8 >= 128


def test_new_tokens_are_unique_and_every_bit_varies() -> None:
    secrets = {new_token(TokenKind.DEVICE) for _ in range(1000)}
    assert len(secrets) == 1000
    numbers = [int.from_bytes(base64.urlsafe_b64decode(secret[4:])) for secret in secrets]
    for bit in range(144):
        assert 300 < sum(number >> bit & 1 for number in numbers) < 700


def test_each_token_kind_has_its_own_prefix() -> None:
    assert len({new_token(kind)[:4] for kind in TokenKind}) == len(TokenKind)


@given(ANY_TEXT, ANY_TEXT)
def test_different_texts_have_different_hashes(one: str, other: str) -> None:
    assert len(hash_token(one)) == 32
    assert (hash_token(one) == hash_token(other)) is (one == other)


def test_token_hash_is_sha256() -> None:
    assert hash_token("rca_x") == sha256(b"rca_x").digest()
    assert len({hash_token(lone) for lone in ("", "\ud800", "\udfff", "?")}) == 4
