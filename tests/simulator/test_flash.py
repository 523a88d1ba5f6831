from __future__ import annotations

import pytest

from simulator.flash import NorFlash, PowerCut

_ERASE = 6


def _read(flash: NorFlash, block: int, size: int, offset: int = 0) -> bytes:
    buffer = bytearray(size)
    flash.readblocks(block, buffer, offset)
    return bytes(buffer)


def test_a_program_clears_bits_and_never_sets_one() -> None:
    flash = NorFlash(2)
    flash.writeblocks(1, b"\xf0\x0f", 8)
    assert _read(flash, 1, 4, 7) == b"\xff\xf0\x0f\xff"
    assert flash.reprogrammed == 0
    flash.writeblocks(1, b"\xff\xf0", 8)
    assert _read(flash, 1, 2, 8) == b"\xf0\x00"
    assert flash.reprogrammed == 2


def test_an_erase_sets_one_sector() -> None:
    flash = NorFlash(2)
    flash.writeblocks(0, b"\x00")
    flash.writeblocks(1, b"\x00")
    flash.ioctl(_ERASE, 1)
    assert (_read(flash, 0, 1), _read(flash, 1, 1), flash.erases) == (b"\x00", b"\xff", 1)


def test_a_block_device_tells_its_size() -> None:
    flash = NorFlash(3, sector_bytes=512)
    assert (flash.ioctl(4, 0), flash.ioctl(5, 0)) == (3, 512)


def test_a_power_cut_leaves_the_beginning_of_what_was_written() -> None:
    flash = NorFlash(1)
    flash.cut_after_bytes = 3
    with pytest.raises(PowerCut):
        flash.writeblocks(0, b"\x01\x02\x03\x04\x05")
    assert _read(flash, 0, 5) == b"\x01\x02\x03\xff\xff"
    flash.writeblocks(0, b"\x04", 3)  # and it works again
    assert _read(flash, 0, 5) == b"\x01\x02\x03\x04\xff"


def test_a_power_cut_in_an_erase_leaves_neither_the_old_nor_an_empty_sector() -> None:
    flash = NorFlash(1, seed=5)
    flash.writeblocks(0, bytes(4096))
    flash.cut_after_bytes = 0
    with pytest.raises(PowerCut):
        flash.ioctl(_ERASE, 0)
    assert 0 < sum(byte == 0 for byte in flash.data) < 4096
    assert any(byte not in {0, 0xFF} for byte in flash.data)
    assert flash.erases == 0


def test_the_same_seed_tears_an_erase_in_the_same_way() -> None:
    torn = []
    for _ in range(2):
        flash = NorFlash(1, seed=9)
        flash.writeblocks(0, bytes(4096))
        flash.cut_after_bytes = 0
        with pytest.raises(PowerCut):
            flash.ioctl(_ERASE, 0)
        torn.append(bytes(flash.data))
    assert torn[0] == torn[1]


def test_a_stuck_cell_keeps_its_value() -> None:
    flash = NorFlash(1)
    flash.stuck[2] = 0xFF
    flash.writeblocks(0, b"\x00\x00\x00\x00")
    assert _read(flash, 0, 4) == b"\x00\x00\xff\x00"
