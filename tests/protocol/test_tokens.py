"""Tokens of media and names of decisions."""

from __future__ import annotations

from protocol import decisions
from protocol.compat import hmac_sha256
from protocol.decision_names import DECISION_NAMES
from protocol.tokens import LABEL_BANK, LABEL_PHONE, LABEL_QR, LABEL_SCREEN, LABEL_TRANSIT, TOKEN_BYTES, medium_token


def test_a_token_is_keyed_and_labelled() -> None:
    token = medium_token(b"k" * 32, LABEL_BANK, b"identity")
    assert token == hmac_sha256(b"k" * 32, b"bank\x00identity")[:TOKEN_BYTES]
    labels = (LABEL_TRANSIT, LABEL_BANK, LABEL_QR, LABEL_PHONE, LABEL_SCREEN)
    tokens = [medium_token(key, label, b"identity") for key in (b"k" * 32, b"K" * 32) for label in labels]
    assert len(set(tokens)) == len(tokens)


def test_every_decision_has_one_number_and_one_name() -> None:
    numbers = [getattr(decisions, name) for name in dir(decisions) if name.startswith("DECISION_")]
    assert sorted(numbers) == sorted(DECISION_NAMES)
    assert len(set(numbers)) == len(numbers) > 20
    assert len(set(DECISION_NAMES.values())) == len(numbers)
