"""How long things take: a declared model of air, host link, card, flash and the validator's processor.

Nothing here was measured by this project on a board, a reader chip or a card. What a standard or a data sheet defines is exact;
what somebody has published is quoted with its source; what nobody has published is an assumption, and says so. A change of any
figure is a new `MODEL_VERSION`, so that results can be told apart.

Durations are milliseconds unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

MODEL_VERSION = 1


@dataclass(frozen=True)
class Spread:
    """A duration that varies.

    Attributes:
        low, usual, high: bounds, and what is seen most often; drawn from a triangle over them.
    """

    low: float
    usual: float
    high: float

    def draw(self, chance: random.Random) -> float:
        return chance.triangular(self.low, self.high, self.usual)


# The air: ISO/IEC 14443-2 and -3 (type A) define the elementary time unit and the frame delay, -4 the blocks.

_ETU_MS = 128 / 13_560
_FRAME_DELAY_MS = 0.0864  # (9 * 128 + 20) / 13.56 MHz; each way
_BLOCK_BYTES = 3  # PCB and CRC of an I-block; an R-block is no more than these
_FRAME_SIZES = (16, 24, 32, 40, 48, 64, 96, 128, 256)  # by FSCI and FSDI, ISO/IEC 14443-4 table 1
AIR_KBITS = (106, 212, 424)
# REQA, anticollision of a double UID, RATS and their answers, at 106 kbit/s: 5.7 ms of frames and delays.
ACTIVATION_MS = 5.7
# Another rate is asked for at 106 kbit/s: PPS of five bytes, an answer of three.
SWITCH_BYTES = (5, 3)
# The reader takes frames of 256 bytes (FSDI 8).
READER_FRAME_BYTES = 256


def frame_bytes_of(ats: bytes) -> int:
    """Return the largest frame that a card takes, by its answer to select."""
    return _FRAME_SIZES[min(ats[1] & 0x0F, len(_FRAME_SIZES) - 1)] if len(ats) > 1 else 32


def _frame_ms(size: int, kbits: int) -> float:
    """A frame of bytes with parity, start and end."""
    return (9 * size + 3) * _ETU_MS * 106 / kbits


def _blocks_ms(size: int, frame_bytes: int, kbits: int) -> float:
    """One way of an exchange: a chain of blocks, each but the last confirmed by an R-block."""
    room = frame_bytes - _BLOCK_BYTES
    count = max(1, math.ceil(size / room))
    confirmed = (count - 1) * (_frame_ms(_BLOCK_BYTES, kbits) + 2 * _FRAME_DELAY_MS)
    return _frame_ms(size + count * _BLOCK_BYTES, kbits) + (count - 1) * 3 * _ETU_MS + confirmed


def air_ms(command_bytes: int, response_bytes: int, card_frame_bytes: int, kbits: int) -> float:
    """Return how long a command APDU and its response are in the air, without the card's own work."""
    there = _blocks_ms(command_bytes, card_frame_bytes, kbits)
    back = _blocks_ms(response_bytes, READER_FRAME_BYTES, kbits)
    return there + back + 2 * _FRAME_DELAY_MS


def switch_ms() -> float:
    """Return how long it takes in the air to agree on another rate, without the card's own work."""
    return sum(_frame_ms(size, AIR_KBITS[0]) + _FRAME_DELAY_MS for size in SWITCH_BYTES)


# The link between processor and reader chip: NXP UM0701-02 section 6.2.


@dataclass(frozen=True)
class Link:
    """A way to the PN532.

    Attributes:
        name: as it is called.
        byte_ms: how long a byte takes.
        extra_bytes: that a frame costs beside its own.
    """

    name: str
    byte_ms: float
    extra_bytes: int

    def frame_ms(self, size: int) -> float:
        return (size + self.extra_bytes) * self.byte_ms


# A UART sends ten bits a byte. SPI sends a direction byte with each frame, and asks for the status (two bytes) at least once.
LINKS = {
    115_200: Link("UART 115200", 10 / 115.2, 0),
    921_600: Link("UART 921600", 10 / 921.6, 0),
    5_000_000: Link("SPI 5 MHz", 8 / 5000, 3),
}
UART_DEFAULT = 115_200
ACK_BYTES = 6
# The chip's own 8-bit processor, for each command. An assumption: NXP publishes none. A user has seen 5 ms for 17 bytes that are
# 0.3 ms in the air (NXP community, "PN532 ISO 14443A-4 slow communication", with a PN532 as the card); less is usual as a reader.
CHIP = Spread(0.5, 1.0, 3.0)


# Cards.


@dataclass(frozen=True)
class CardWork:
    """How long a card works.

    Attributes:
        name: of the kind of card.
        command: any command.
        block: each 16 bytes that a card encrypts or authenticates; None where it does not.
        special: what commands with these class and instruction bytes take instead of `command`.
    """

    name: str
    command: Spread
    block: Spread | None
    special: dict[bytes, Spread]

    def draw(self, command: bytes, response_bytes: int, chance: random.Random) -> float:
        """Return how long it works on a command."""
        work = self.special.get(command[:2], self.command).draw(chance)
        if self.block is not None and command[:1] == b"\x90":
            blocks = math.ceil(len(command) / 16) + math.ceil(response_bytes / 16)
            work += sum(self.block.draw(chance) for _ in range(blocks))
        return work


# DESFire. NXP has measured how long reading 1024 bytes takes, in 18 frames at 106 to 848 kbit/s (application note "The use of
# higher data rates in applications", table 12: 130, 80, 52, 43 ms plain; 171, 116, 86, 76 ms encrypted). What does not shrink
# with the rate is 1.3 ms a frame; what encryption adds is 0.6 ms a block. EV2 and EV3 are newer; that AES takes them as long is
# an assumption. A write cycle takes 1 ms (data sheet MF2DLHX0); how many a commit needs is an assumption: 6 to 12.
_BLOCK = Spread(0.4, 0.6, 0.8)
_AUTHENTICATION = Spread(3.0, 5.0, 8.0)  # with two session keys: some ten blocks
_COMMIT = Spread(6.0, 8.0, 12.0)
DESFIRE = CardWork(
    "transport card",
    Spread(1.0, 1.3, 2.0),
    _BLOCK,
    {b"\x90\x71": Spread(1.0, 2.0, 3.0), b"\x90\xaf": _AUTHENTICATION, b"\x90\xc7": _COMMIT},
)

# Bank cards. Whole conversations without the reader's share, published by users of NFC EMV Explorer (wwopenfare.com, "IsoDep
# transceive times"): 215 to 740 ms; plastic of today 315 to 325 ms, Google Pay 165 to 250 ms. Some 100 ms of these are air. The
# signature takes most of the rest: 100 to 300 ms on plastic. How the remainder divides among commands is an assumption.
_SIGNING_PLASTIC = Spread(100.0, 140.0, 300.0)
_SIGNING_PHONE = Spread(40.0, 60.0, 110.0)
_GET_PROCESSING_OPTIONS, _GENERATE_AC = b"\x80\xa8", b"\x80\xae"
VISA_PLASTIC = CardWork(
    "Visa-like, plastic", Spread(6.0, 10.0, 15.0), None, {_GET_PROCESSING_OPTIONS: _SIGNING_PLASTIC}
)
VISA_PHONE = CardWork("Visa-like, phone", Spread(4.0, 7.0, 12.0), None, {_GET_PROCESSING_OPTIONS: _SIGNING_PHONE})
MASTERCARD_PLASTIC = CardWork(
    "Mastercard-like, plastic", Spread(6.0, 10.0, 15.0), None, {_GENERATE_AC: _SIGNING_PLASTIC}
)
MASTERCARD_PHONE = CardWork("Mastercard-like, phone", Spread(4.0, 7.0, 12.0), None, {_GENERATE_AC: _SIGNING_PHONE})


# Flash: Winbond W25Q128JV data sheet, table 9.6 (AC characteristics): typical and largest.
PROGRAM_PAGE = Spread(0.4, 0.4, 3.0)
ERASE_SECTOR = Spread(45.0, 45.0, 400.0)
_PAGE_BYTES = 256
_FLASH_BYTE_MS = 8 / 40_000  # one bit a clock, 40 MHz


def program_ms(size: int, chance: random.Random) -> float:
    """Return how long it takes to program bytes: transfer, and a page cycle for each 256."""
    return size * _FLASH_BYTE_MS + sum(PROGRAM_PAGE.draw(chance) for _ in range(math.ceil(size / _PAGE_BYTES)))


def read_ms(size: int) -> float:
    return size * _FLASH_BYTE_MS


# The processor: instructions are counted on an emulated Cortex-M4 (`hardware.emulated_m4`), and take a declared time on a board.


@dataclass(frozen=True)
class Processor:
    """A board's processor.

    Attributes:
        name: of the board.
        mhz: its clock.
        cycles_low, cycles_high: clock cycles for an instruction that was counted on the emulated Cortex-M4.
    """

    name: str
    mhz: int
    cycles_low: float
    cycles_high: float

    def compute_ms(self, instructions: int) -> float:
        """Return how long it computes, reckoned with the more cautious of the two factors."""
        return instructions * self.cycles_high / self.mhz / 1000


# RP2350: scores of MicroPython's perf_bench that its developers have published, over the instructions that the same programs take
# here: 11 to 16.5 ns each. The others by one program that was timed on all three (scruss.com, "Parallel MicroPython
# Benchmarking": 10.3 s on RP2350, 8.9 s on ESP32-S3, 13.0 s on STM32F405). Projections; plus or minus a half would not surprise.
_RP2350_NS = (11.0, 16.5)
_RATIO_ESP32_S3 = 8.9 / 10.3
_RATIO_STM32F405 = 13.0 / 10.3


def _processor(name: str, mhz: int, ratio: float) -> Processor:
    low, high = (nanoseconds * ratio * mhz / 1000 for nanoseconds in _RP2350_NS)
    return Processor(name, mhz, low, high)


PROCESSORS = {
    "esp32-s3": _processor("ESP32-S3, 240 MHz", 240, _RATIO_ESP32_S3),
    "rp2350": _processor("RP2350, 150 MHz", 150, 1.0),
    "stm32f405": _processor("STM32F405 (Cortex-M4), 168 MHz", 168, _RATIO_STM32F405),
}
REFERENCE = "esp32-s3"
