"""What a bank card costs a validator: RSA in Python, the blob for the acquirer, whole conversations without air and card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.child import RUNTIMES, run_in
from tests.bench.table import Table
from tests.protocol.bank_bench import CARDS

if TYPE_CHECKING:
    from tests.bench.table import Tell

_ROUNDS = 20
_SOURCE = f"""
from protocol.cards.acquirer_blob import seal_blob
from protocol.cards.dukpt import plant
from protocol.cards.emv import read_bank_card
from protocol.cards.emv_oda import OfflineAuthentication
from tests.protocol.aes import Aes
from tests.protocol.bank_bench import CARDS, OpenVault, answers_of, authorities, terminal
from tests.protocol.transcript import answer_all
modulus = int.from_bytes(bytes.fromhex(CARDS[0]["modulus"]), "big")
times = []
def take(act):
    act()
    begun = ticks()
    for _ in range({_ROUNDS}):
        act()
    times.append((ticks() - begun) // {_ROUNDS})
take(lambda: pow(modulus >> 1, 3, modulus))
take(lambda: pow(modulus >> 1, 65537, modulus))
block, _ = plant(Aes(), bytes(8), bytes(16))
take(lambda: seal_blob(Aes(), block, bytearray(160)))
for case in CARDS:
    answers = answers_of(case)
    known = OfflineAuthentication(authorities())
    take(lambda: answer_all(read_bank_card(OpenVault(), terminal(), OfflineAuthentication(authorities())), answers))
    take(lambda: answer_all(read_bank_card(OpenVault(), terminal(), known), answers))
print(*times)
"""


def measure(tell: Tell) -> Table:
    """Measure on each runtime."""
    rows: list[tuple[str | float | None, ...]] = []
    for runtime in RUNTIMES:
        tell(f"bank cards on {runtime}")
        rows.append((runtime, *(us / 1000 for us in run_in(runtime, _SOURCE))))
    columns = (
        "bank cards, ms",
        "RSA 1984, e 3",
        "RSA 1984, e 65537",
        "seal a blob",
        "Visa-like, first",
        "known issuer",
        "Mastercard-like, first",
        "known issuer ",
    )
    return Table("Bank cards", columns, rows, f"{_conversations()} No microcontroller was measured.")


def _conversations() -> str:
    """Say how much is said, as it stands in the vectors."""
    told = []
    for case in CARDS:
        up = sum(len(said) // 2 for said, _ in case["exchanges"])
        down = sum(len(answer) // 2 for _, answer in case["exchanges"])
        told.append(f"{case['scheme']}: {len(case['exchanges'])} APDUs, {up} bytes up and {down} down")
    return "; ".join(told) + "."
