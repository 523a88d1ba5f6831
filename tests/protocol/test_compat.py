"""The runtime differences, against published vectors."""

from __future__ import annotations

from protocol.compat import constant_time_equal, crc32, hmac_sha256, sha1_of, sha256
from tests.vectors.load import load


def test_hmac_is_that_of_rfc_4231() -> None:
    for vector in load("rfc4231")["macs"]:
        mac = hmac_sha256(bytes.fromhex(vector["key"]), bytes.fromhex(vector["data"]))
        assert mac.hex() == vector["mac"]


def test_hmac_takes_a_view_of_a_buffer() -> None:
    assert hmac_sha256(b"key", memoryview(bytearray(b"xdatax"))[1:5]) == hmac_sha256(b"key", b"data")


def test_sha256_is_that_of_fips_180_4() -> None:
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_sha1_is_that_of_fips_180_4_over_pieces() -> None:
    assert sha1_of([b"a", memoryview(b"bc")]).hex() == "a9993e364706816aba3e25717850c26c9cd0d89d"


def test_crc32_has_its_check_value_and_goes_on_from_a_seed() -> None:
    assert crc32(b"123456789") == 0xCBF43926
    assert crc32(b"56789", crc32(b"1234")) == 0xCBF43926


def test_equal_means_equal_in_every_byte() -> None:
    assert constant_time_equal(b"", b"")
    assert constant_time_equal(b"abc", b"abc")
    assert not constant_time_equal(b"abc", b"abd")
    assert not constant_time_equal(b"abc", b"ab")
