"""The tables of this bench."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from simulator import timing
from tests.bench.table import Table
from tests.bench_tap.measure import percentile

if TYPE_CHECKING:
    from tests.bench.table import Cell
    from tests.bench_tap.measure import Measured

_PARTS = ("air", "link", "card", "firmware", "flash")
_FIELD = (
    "Floor, of air and link alone: transport card 27 + 37 ms (7.5 + 4.6 at 424 kbit/s and UART 921600), bank card 100 to 130 + "
    "104 to 133 ms. In the field: Suica 200 ms, Calypso under 200, Oyster 350, bank cards on London's buses 530."
)


def taps_table(taps: list[Measured]) -> Table:
    """Where a tap's time goes, beside its target."""
    rows: list[tuple[Cell, ...]] = []
    for tap in taps:
        totals = [split.total for split in tap.splits]
        firmware = [split.firmware for split in tap.splits]
        rows.append(
            (
                tap.name,
                *(float(round(percentile(totals, percent))) for percent in (50, 95, 99)),
                tap.ride.target_ms,
                *(mean(getattr(split, part) for split in tap.splits) for part in _PARTS),
                percentile([split.without_firmware for split in tap.splits], 99),
                percentile(firmware, 99),
                tap.ride.firmware_target_ms,
            )
        )
    columns = ("ms", "p50", "p95", "p99", "target", *_PARTS, "p99, no firmware", "firmware p99", "target ")
    transport, bank = taps[0], taps[1]
    note = (
        f"As the firmware sets the reader up: {timing.LINKS[bank.host_rate].name} to the chip; in the air {transport.kbits} "
        f"kbit/s to transport cards and {bank.kbits} to bank cards, for which EMV knows no other rate. "
        "Parts are means; link is with the chip's own work. `p99, no firmware` is what would be left if the firmware computed "
        f"nothing. {_FIELD}"
    )
    return Table("Taps", columns, rows, note)


def options_table(taps: list[Measured]) -> Table:
    """What other rates would give."""
    rates = [(air, rate) for air in timing.AIR_KBITS for rate in timing.LINKS]
    columns = ("p99, ms", *(f"{air}, {timing.LINKS[rate].name}" for air, rate in rates))
    rows: list[tuple[Cell, ...]] = [(tap.name, *(tap.others[each] for each in rates)) for tap in taps if tap.others]
    return Table("The same taps at other rates", columns, rows, "kbit/s in the air, and the link to the reader chip.")


def operations_table(counts: dict[str, int]) -> Table:
    """What single operations cost."""
    processors = list(timing.PROCESSORS.values())
    columns = ("operation", "instructions", *(f"ms, {processor.name}" for processor in processors))
    rows: list[tuple[Cell, ...]] = [
        (name, count, *(processor.compute_ms(count) for processor in processors)) for name, count in counts.items()
    ]
    note = "Counted on the emulated Cortex-M4; milliseconds are projections with the more cautious of two factors."
    return Table("Operations of the firmware", columns, rows, note)
