"""Command and response APDUs."""

from __future__ import annotations

from protocol.cards.apdu import SW_FILE_NOT_FOUND, UnexpectedStatus, command, require_ok, select, split_response
from protocol.errors import CardError, LocalProtocolError


def test_a_command_carries_its_length_and_what_it_expects() -> None:
    assert command(0x90, 0x6C, 0, 0, b"\x02", 0) == bytes.fromhex("906C0000010200")
    assert command(0x00, 0xB2, 1, 0x14, b"", 0) == bytes.fromhex("00B2011400")
    assert command(0x80, 0xCA, 0, 0) == bytes.fromhex("80CA0000")


def test_select_names_an_application() -> None:
    assert select(b"2PAY.SYS.DDF01") == bytes.fromhex("00A404000E325041592E5359532E444446303100")


def test_a_command_that_does_not_fit_is_not_made() -> None:
    try:
        command(0x90, 0x8D, 0, 0, bytes(256))
    except LocalProtocolError:
        return
    raise AssertionError


def test_a_response_is_data_and_status() -> None:
    assert split_response(b"\x01\x02\x90\x00") == (b"\x01\x02", 0x9000)
    assert split_response(b"\x6a\x82") == (b"", SW_FILE_NOT_FOUND)


def test_a_response_of_an_impossible_size_is_refused() -> None:
    for response in (b"", b"\x90", bytes(259)):
        try:
            split_response(response)
        except CardError:
            continue
        raise AssertionError


def test_another_status_is_told_with_the_command_and_without_the_data() -> None:
    found = None
    try:
        require_ok(b"\x99\x99\x99\x62\x83", "select application")
    except UnexpectedStatus as error:
        found = error
    assert found is not None
    assert found.status == 0x6283
    assert str(found) == "select application: status 0x6283"
