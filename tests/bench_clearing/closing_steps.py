"""The steps of a close, timed, in a process of their own: `python -m tests.bench_clearing.closing_steps URL KEYS`.

They are those of `clearing.settlement.closing.next_version`, in one transaction. It prints one JSON object.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from clearing.access.service import LOCAL
from clearing.database import Database
from clearing.fleet.keys import open_keys
from clearing.ingest.models import TapRow
from clearing.ledger.models import EntryRow, PostingRow
from clearing.network.service import lock_city
from clearing.pricing.service import price_day
from clearing.settlement.closing import Hand, add_version
from clearing.settlement.evidence import gather_evidence
from clearing.settlement.gathering import gather_totals
from tests.builders import CITY, DAY, NOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

_steps: list[dict[str, Any]] = []


@contextmanager
def _step(name: str) -> Iterator[None]:
    begun, begun_cpu = time.perf_counter(), time.process_time()
    yield
    took = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - begun_cpu}
    _steps.append({"step": name, **took, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})


def main(arguments: list[str]) -> int:
    url, keys_path = arguments
    database, keys = Database(url), open_keys(Path(keys_path))
    hand = Hand(LOCAL, NOW_MS + 86_400_000, keys)
    writing = database.writing()
    session = writing.__enter__()
    lock_city(session, CITY)
    with _step("price"):
        priced = price_day(session, CITY, DAY)
    with _step("add up"):
        totals = gather_totals(session, CITY, DAY, priced, None)
    with _step("Merkle root"):
        evidence = gather_evidence(session, keys, CITY, DAY)
    with _step("book and check"):
        close = add_version(session, CITY, DAY, hand, replace(totals, evidence=evidence))
    assert close is not None
    with _step("COMMIT"):
        writing.__exit__(None, None, None)
    with database.reading() as session:
        counts = {
            name: session.scalar(select(func.count()).select_from(table))
            for name, table in (("records", TapRow), ("entries", EntryRow), ("postings", PostingRow))
        }
    print(json.dumps({"steps": _steps, "leaves": evidence.leaves, "rides": totals.rides, **counts}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
