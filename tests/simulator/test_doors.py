"""The doors, each with readers that nobody here wrote: libnfc, libfreefare, nfcpy, PC/SC through a real pcscd."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from protocol.cards import card_layout as layout
from protocol.cards.apdu import select
from simulator.__main__ import app
from simulator.doors.door import Watched, command_name
from simulator.doors.pcsc import PcscDoor, ReaderMissing, answer_to_reset
from simulator.doors.pn532_pty import Pn532Pty
from simulator.doors.udp import UdpCard, UdpDoor
from simulator.iso_dep import BlockError
from simulator.pn532_chip import Pn532Chip
from simulator.sample_cards import sample_mastercard, sample_transit_card, sample_visa_card
from simulator.virtual_card import TornAway
from tests.card_reader import CardReader
from tests.nfcpy import activate, nfcpy_on_terminal, nfcpy_on_udp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.emv_card import EmvCard
    from simulator.iso_dep import Card

_UID = "04514C4A000001"
_PPSE = select(b"2PAY.SYS.DDF01")
_SELECT = select(layout.DF_NAME)


def _run(port: str, *command: str) -> str:
    """Run a tool of libnfc on a serial port."""
    if shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is needed: apt-get install libnfc-bin libfreefare-bin")
    environment = os.environ | {"LIBNFC_DEFAULT_DEVICE": f"pn532_uart:{port}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


@contextmanager
def _before_a_pn532(card: Card) -> Iterator[Pn532Pty]:
    with Pn532Pty(Pn532Chip()) as door:
        door.present(card)
        yield door


# libnfc and libfreefare.


def test_libnfc_lists_the_transport_card_and_takes_it_for_nothing_else() -> None:
    with _before_a_pn532(sample_transit_card()) as door:
        listed = _run(door.path, "nfc-list", "-v")
    assert "1 ISO14443A passive target(s) found" in listed
    assert "UID (NFCID1): 04 51 4c 4a 00 00 01" in listed
    assert "Compliant with ISO/IEC 14443-4" in listed
    assert "MIFARE DESFire EV1 2K/4K/8K" in listed
    assert listed.count("0 ") > 5


def test_libnfc_lists_a_bank_card() -> None:
    with _before_a_pn532(sample_visa_card()) as door:
        listed = _run(door.path, "nfc-list", "-v")
    assert "UID (NFCID3): 08 51 4c 01" in listed
    assert "Max Frame Size accepted by PICC: 256 bytes" in listed


def test_libfreefare_reads_what_the_chip_tells_of_itself() -> None:
    with _before_a_pn532(sample_transit_card()) as door:
        told = _run(door.path, "mifare-desfire-info")
    assert "UID: 0x04514c4a000001" in told
    assert "Version: 18.0" in told
    assert "Storage size: 0x1a (=8192 bytes)" in told
    assert "Free memory:" in told


# nfcpy.


def _select_application(tag: Any) -> None:  # noqa: ANN401 - untyped
    assert bytes(tag.identifier).hex().upper() == _UID
    assert bytes(tag.transceive(_SELECT)) == b"\x90\x00"
    # Keys are asked for by number; a challenge of 16 bytes comes.
    assert len(tag.transceive(bytes.fromhex("9071000002020000"))) == 18
    assert tag.is_present


def test_nfcpy_speaks_to_the_transport_card_by_udp() -> None:
    with UdpDoor(sample_transit_card()) as door, nfcpy_on_udp(door.port) as front:
        _select_application(activate(front))


def test_nfcpy_speaks_to_the_transport_card_through_the_chip() -> None:
    with _before_a_pn532(sample_transit_card()) as door, nfcpy_on_terminal(door.path) as front:
        _select_application(activate(front))


def test_nfcpy_reads_a_bank_card_whose_records_are_longer_than_a_block() -> None:
    record = bytes.fromhex("00B2011C00")
    with UdpDoor(sample_mastercard()) as door, nfcpy_on_udp(door.port) as front:
        tag = activate(front)
        for apdu in (_PPSE, select(bytes.fromhex("A0000000041010")), bytes.fromhex("80A8000002830000"), record):
            heard = bytes(tag.transceive(apdu))
            assert heard[-2:] == b"\x90\x00"
    assert len(heard) > 150


def test_nfcpy_finds_nothing_when_the_card_is_taken_away() -> None:
    card = sample_visa_card()
    with _before_a_pn532(card) as door, nfcpy_on_terminal(door.path) as front:
        assert activate(front) is not None
        door.remove(card)
        assert activate(front) is None


def test_nfcpy_notices_that_a_card_is_torn_away() -> None:
    card = sample_visa_card()
    with UdpDoor(card) as door, nfcpy_on_udp(door.port) as front:
        import nfc.tag  # noqa: PLC0415 - inside, where nobody minds what it warns of

        tag = activate(front)
        card.tear_at(1, carried_out=True)
        with pytest.raises(nfc.tag.TagCommandError):
            tag.transceive(_PPSE)
        assert activate(front) is not None


# The other way round: a reader of ours and a card at a UDP port.


def test_a_card_at_a_udp_port_is_as_the_card_itself() -> None:
    card = sample_transit_card()
    with UdpDoor(card) as door:
        far = UdpCard("127.0.0.1", door.port, 1.0)
        assert (far.uid, far.ats) == (card.uid, card.ats)
        assert far.process(_SELECT) == b"\x90\x00"
        card.tear_at(1, carried_out=False)
        far.close()
        far = UdpCard("127.0.0.1", door.port, 0.05)
        card.tear_at(1, carried_out=False)
        with pytest.raises(TornAway):
            far.process(_SELECT)
        far.close()


def test_where_no_card_is_none_is_found() -> None:
    with UdpDoor(sample_transit_card()) as door:
        port = door.port
    with pytest.raises(BlockError):
        UdpCard("127.0.0.1", port, 0.05)


def test_what_is_no_frame_is_not_answered() -> None:
    with UdpDoor(sample_transit_card()) as door:
        for datagram in (b"", b"106A", b"106B 26", b"106A zz", b"106A \xff", b"212F 0600FFFF0100"):
            assert door._answer(datagram) is None
        assert door._answer(b"106A 26") == b"106A 4403"


# PC/SC.


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CardReader]:
    reader = CardReader(tmp_path)
    yield reader
    reader.close()


_PYSCARD = """
from smartcard.CardRequest import CardRequest
from smartcard.CardType import AnyCardType
service = CardRequest(timeout=20, cardType=AnyCardType(), newcardonly={is_new}).waitforcard()
connection = service.connection
connection.connect()
print(bytes(connection.getATR()).hex())
for apdu in ("FFCA000000", "FFCA010000", "FFB0000000", {apdu!r}):
    data, sw1, sw2 = connection.transmit(list(bytes.fromhex(apdu)))
    print(bytes(data).hex(), bytes((sw1, sw2)).hex())
connection.disconnect()
"""


def _pyscard(reader: CardReader, apdu: bytes, *, is_new: bool = False) -> list[str]:
    """Let pyscard, in a process of its own, ask the reader and then the card."""
    command = (sys.executable, "-c", _PYSCARD.format(apdu=apdu.hex(), is_new=is_new))
    done = subprocess.run(command, env=reader.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_pyscard_speaks_to_the_transport_card_through_pcscd(reader: CardReader) -> None:
    card = sample_transit_card()
    with PcscDoor(itertools.repeat(card), reader.port):
        told = _pyscard(reader, _SELECT)
    assert told == ["3b8180018080", "04514c4a000001 9000", "80 9000", " 6a81", " 9000"]


def test_when_the_desk_lets_go_of_a_card_the_next_one_is_put_there(reader: CardReader) -> None:
    cards: list[EmvCard] = [sample_visa_card(), sample_mastercard()]
    said: list[str] = []
    with PcscDoor(iter(cards), reader.port, said.append):
        uids = [_pyscard(reader, _PPSE, is_new=index > 0)[1].split()[0] for index, _ in enumerate(cards)]
    assert uids == ["08514c01", "08514c02"]
    assert said == ["another card", "no more cards"]


def test_without_a_virtual_reader_there_is_no_door() -> None:
    with pytest.raises(ReaderMissing):
        PcscDoor(itertools.repeat(sample_visa_card()), 9)


def test_the_answer_to_reset_is_made_of_the_historical_bytes() -> None:
    assert answer_to_reset(sample_transit_card().ats).hex() == "3b8180018080"
    assert answer_to_reset(sample_visa_card().ats).hex() == "3b80800101"


# The command.


def test_commands_are_told_by_name_and_nothing_of_what_they_carry() -> None:
    told: list[str] = []
    card = Watched(sample_transit_card(), told.append)
    card.process(_SELECT)
    card.process(bytes.fromhex("9071000002020000"))
    card.process(bytes.fromhex("90EE000000"))
    assert told == ["SELECT: 9000", "AuthenticateEV2First: 91AF", "CLA 90 INS EE: 911C"]
    assert command_name(b"") == "no command"


def test_the_command_holds_a_card_before_a_reader_until_it_is_interrupted(tmp_path: Path) -> None:
    link = tmp_path / "pn532"
    with _command("card", "transit", "--pn532", str(link)) as (process, said):
        assert said.readline() == f"card before the PN532 at {link}\n"
        assert "04514c4a000001" in _run(str(link), "mifare-desfire-info")
        assert said.readline() == "GetVersion: 91AF\n"
        process.send_signal(signal.SIGINT)
        rest = said.read()
        assert process.wait() == 0
    assert "FreeMem: 9100" in rest
    assert not link.exists()


@contextmanager
def _command(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run `jolaqy-sim` until the context ends, however it does."""
    command = (str(Path(sys.executable).with_name("jolaqy-sim")), *arguments)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["card", "metro", "--udp", "0"], 2, "choose one of transit, visa, mastercard"),
        (["card", "visa"], 2, "give one of --udp PORT, --pcsc, --pn532 PATH"),
        (["card", "visa", "--pcsc", "--udp", "0"], 2, "give one of"),
        (["card", "visa", "--pcsc", "--pcsc-port", "9"], 1, "apt-get install pcscd vsmartcard-vpcd"),
        (["card", "visa", "--pn532", "/nowhere/pn532"], 1, "in a folder that you may write to"),
    ],
)
def test_the_command_says_what_to_do(arguments: list[str], exit_code: int, said: str) -> None:
    _expect(arguments, exit_code, said)


def test_a_port_that_is_taken_is_told_so() -> None:
    with UdpDoor(sample_visa_card()) as door:
        _expect(["card", "visa", "--udp", str(door.port)], 1, "choose another one")


def _expect(arguments: list[str], exit_code: int, said: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == exit_code
    assert said in result.stderr
