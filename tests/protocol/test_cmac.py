"""AES-CMAC, against RFC 4493."""

from __future__ import annotations

from protocol.cmac import aes_cmac
from tests.protocol.aes import Aes
from tests.vectors.load import load


def test_the_macs_are_those_of_rfc_4493() -> None:
    vectors = load("rfc4493")
    key = bytes.fromhex(vectors["key"])
    for vector in vectors["macs"]:
        assert aes_cmac(Aes(), key, bytes.fromhex(vector["message"])).hex() == vector["mac"]
