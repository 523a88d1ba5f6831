"""What a host can set and ask of an emulated PN532 that concerns the chip alone (UM0701-02 sections 7.2 and 7.3.1).

Hosts differ in what they try before they look for a card: nfcpy sends the longest frame there is and wants it back, libnfc writes
the radio's registers (CIU) to switch between kinds of cards. What is set is kept; what of it matters can be asked for here.
"""

from __future__ import annotations

_FIRMWARE_VERSION = bytes((0x32, 0x01, 0x06, 0x07))
_GPIO = b"\x00\x00\x00"
_ENDLESS = 0xFF
_AUTOMATIC_RATS = 0x10
_CIU_TX_MODE = 0x6302
_CIU_FIFO_DATA = 0x6339
_FRAMING = 0x03
_FRAMING_TYPE_A = 0x00
_REQA = 0x26
# SetSerialBaudrate, section 7.2.9, in bits per second.
BAUDRATES = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600, 1_288_000)
_PATIENCE_MS_MIN = 1
# RFConfiguration's items: how many bytes each takes.
_ITEM_BYTES = {0x01: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
_ITEM_FIELD, _ITEM_TIMINGS, _ITEM_RETRIES = 0x01, 0x02, 0x05


class Pn532Settings:
    """The chip's settings.

    Attributes:
        retries: how often it looks for a card before it says that there is none; 255 for without end.
        describes_ats: it activates ISO-DEP by itself, and tells the card's ATS.
        field_is_on: whether cards are powered; listing switches it on.
        patience_ms: for the answer to a raw frame.
    """

    def __init__(self) -> None:
        self.retries = _ENDLESS
        self.describes_ats = True
        self.field_is_on = False
        self.patience_ms = 52
        self._registers: dict[int, int] = {}

    @property
    def framing_is_type_a(self) -> bool:
        return self._registers.get(_CIU_TX_MODE, _FRAMING_TYPE_A) & _FRAMING == _FRAMING_TYPE_A

    def carry_out(self, code: int, parameters: bytes) -> bytes | None:
        """Return the answer to a command; None for one that is not known, or is malformed."""
        if code in {0x02, 0x0C}:
            return _FIRMWARE_VERSION if code == 0x02 else _GPIO
        if code == 0x00 and parameters[:1] == b"\x00":
            return parameters  # Diagnose, the line: an echo
        if code == 0x00 and parameters in {b"\x01", b"\x02"}:
            return b"\x00"  # ROM and RAM are sound
        if code == 0x06:
            return self._read_registers(parameters)
        if code == 0x08:
            return self._write_registers(parameters)
        if code == 0x10:
            return b"" if len(parameters) == 1 and parameters[0] < len(BAUDRATES) else None
        if code == 0x12 and parameters:
            self.describes_ats = bool(parameters[0] & _AUTOMATIC_RATS)
        if code == 0x32:
            return self._configure_radio(parameters)
        # WriteGPIO, SetParameters, SAMConfiguration; PowerDown tells a status.
        return {0x0E: b"", 0x12: b"", 0x14: b"", 0x16: b"\x00"}.get(code)

    def _read_registers(self, parameters: bytes) -> bytes | None:
        if not parameters or len(parameters) % 2:
            return None
        addresses = [int.from_bytes(parameters[place : place + 2], "big") for place in range(0, len(parameters), 2)]
        # What is in the radio's queue is the last request: had anybody answered it, it would not be asked for.
        return bytes(_REQA if address == _CIU_FIFO_DATA else self._registers.get(address, 0) for address in addresses)

    def _write_registers(self, parameters: bytes) -> bytes | None:
        if not parameters or len(parameters) % 3:
            return None
        for place in range(0, len(parameters), 3):
            self._registers[int.from_bytes(parameters[place : place + 2], "big")] = parameters[place + 2]
        return b""

    def _configure_radio(self, parameters: bytes) -> bytes | None:
        item, values = parameters[0] if parameters else 0, parameters[1:]
        if len(values) != _ITEM_BYTES.get(item):
            return None
        if item == _ITEM_FIELD:
            self.field_is_on = bool(values[0] & 1)
        elif item == _ITEM_TIMINGS:
            # 100 µs and doublings of it; 0 is for without end, which is no way to wait for a card.
            self.patience_ms = max(_PATIENCE_MS_MIN, (1 << max(values[2], 1) - 1) // 10)
        elif item == _ITEM_RETRIES:
            self.retries = values[2]
        return b""
