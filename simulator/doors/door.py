"""What all doors share: they serve in real time, from a thread, until they are closed; and they tell what was asked, in names."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from simulator.virtual_card import TornAway

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from simulator.iso_dep import Card

_NAMES = {
    0x00: {0xA4: "SELECT", 0xB0: "READ BINARY", 0xB2: "READ RECORD", 0xCA: "GET DATA", 0xC0: "GET RESPONSE"},
    0x80: {0xA8: "GET PROCESSING OPTIONS", 0xAE: "GENERATE AC", 0xCA: "GET DATA"},
    0x90: {
        0x0A: "AuthenticateLegacy",
        0x0C: "Credit",
        0x1A: "AuthenticateISO",
        0x3C: "Read_Sig",
        0x45: "GetKeySettings",
        0x51: "GetCardUID",
        0x54: "ChangeKeySettings",
        0x5A: "SelectApplication",
        0x5F: "ChangeFileSettings",
        0x60: "GetVersion",
        0x64: "GetKeyVersion",
        0x6A: "GetApplicationIDs",
        0x6C: "GetValue",
        0x6E: "FreeMem",
        0x6F: "GetFileIDs",
        0x71: "AuthenticateEV2First",
        0x77: "AuthenticateEV2NonFirst",
        0x8B: "WriteRecord",
        0x8D: "WriteData",
        0xA7: "AbortTransaction",
        0xAA: "AuthenticateAES",
        0xAD: "ReadData",
        0xAF: "AdditionalFrame",
        0xBB: "ReadRecords",
        0xBD: "ReadData",
        0xC0: "CreateCyclicRecordFile",
        0xC4: "ChangeKey",
        0xC6: "ChangeKeyEV2",
        0xC7: "CommitTransaction",
        0xCA: "CreateApplication",
        0xCB: "CreateBackupDataFile",
        0xCC: "CreateValueFile",
        0xCD: "CreateStdDataFile",
        0xCE: "CreateTransactionMACFile",
        0xDA: "DeleteApplication",
        0xDC: "Debit",
        0xF5: "GetFileSettings",
        0xFC: "FormatPICC",
    },
}


def command_name(apdu: bytes) -> str:
    """Return what a command APDU is called; nothing of what it carries."""
    if len(apdu) < 4:
        return "no command"
    return _NAMES.get(apdu[0], {}).get(apdu[1], f"CLA {apdu[0]:02X} INS {apdu[1]:02X}")


class Watched:
    """A card that tells of each command by its name and status word, and by nothing else."""

    def __init__(self, card: Card, tell: Callable[[str], None]) -> None:
        self._card = card
        self._tell = tell
        self.uid = card.uid
        self.ats = card.ats

    def process(self, apdu: bytes) -> bytes:
        try:
            response = self._card.process(apdu)
        except TornAway:
            self._tell(f"{command_name(apdu)}: torn away")
            raise
        self._tell(f"{command_name(apdu)}: {response[-2:].hex().upper()}")
        return response

    def reset(self) -> None:
        self._card.reset()


class Door(ABC):
    """Serves one reader after the other, from entering the context until leaving it."""

    def __init__(self) -> None:
        self._wake_reader, self._wake_writer = os.pipe()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._is_over.set()
        os.write(self._wake_writer, b"\x00")
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    @abstractmethod
    def _serve(self) -> None:
        """Serve until `_is_over`; `_wake_reader` becomes readable then."""
