"""Closing a large day on a durable PostgreSQL, step by step; the day is made inside the database, by one statement."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from clearing.commands import prepare
from clearing.database import Database
from clearing.fleet.keys import open_keys
from protocol.decisions import DECISION_ACCEPTED, DECISION_COMMITTED, DECISION_DENIED
from simulator.runtimes import TOP
from tests.bench.machine import DISK
from tests.bench.table import Cell, Table
from tests.bench_clearing.day import DAY_S, TAPS_EACH
from tests.builders import CITY, DAY, NOW_MS
from tests.clearing.postgresql import PostgresqlServer, find_programs

if TYPE_CHECKING:
    from tests.bench.table import Tell

_BUSES = 984
_SHARE_BY_CARD = 45
# A city's mix of media, in hundredths: transport cards (an intent and an outcome each), bank cards, codes, cash, refusals.
_FILL = f"""
INSERT INTO tap (device_id, epoch, sequence, batch_id, record, kind, medium, token, card_counter, tapped_at_s, clock_quality,
    uptime_ms, boot, fare_minor, category, line, decision, reference_first, test, city, carrier, vehicle, service_day,
    received_at_ms)
SELECT decode(md5('bus' || bus), 'hex'), 1, sequence, 1, decode(repeat(md5('tap' || n), 4), 'hex'),
    CASE WHEN chance < {_SHARE_BY_CARD} THEN CASE part WHEN 1 THEN 7 ELSE 15 END WHEN chance >= 97 THEN 4 ELSE 1 END,
    CASE WHEN chance < {_SHARE_BY_CARD} THEN 1 WHEN chance < 75 THEN 2 WHEN chance < 85 THEN 4 ELSE 6 END,
    CASE WHEN chance < 85 THEN decode(md5('medium' || n %% %(media)s), 'hex') END,
    CASE WHEN chance < {_SHARE_BY_CARD} THEN n / %(media)s + part - 1 WHEN chance >= 75 AND chance < 85 THEN n END,
    {DAY_S} + n * 68400::bigint / %(taps)s, 3, n %% 86400000, 1,
    CASE WHEN chance >= 97 THEN NULL WHEN chance < 85 THEN 10000 ELSE 20000 END, 1, 1 + bus %% 4,
    CASE WHEN chance < {_SHARE_BY_CARD} THEN CASE part WHEN 2 THEN {DECISION_COMMITTED} END
        WHEN chance >= 97 THEN {DECISION_DENIED} ELSE {DECISION_ACCEPTED} END,
    CASE part WHEN 2 THEN sequence - 1 END, false, '{CITY}',
    CASE WHEN bus %% 4 < 2 THEN 'alatau' ELSE 'medeu' END, 'B-' || bus, '{DAY}',
    1000 * ({DAY_S} + n * 68400::bigint / %(taps)s + 60)
FROM (
    SELECT n, bus, chance, part, row_number() OVER (PARTITION BY bus ORDER BY n, part) AS sequence
    FROM (SELECT n, n %% {_BUSES} AS bus, n * 7919 %% 100 AS chance FROM generate_series(0, %(taps)s::bigint - 1) AS n) AS taps
    CROSS JOIN (VALUES (1), (2)) AS parts (part) WHERE part = 1 OR chance < {_SHARE_BY_CARD}
) AS made
"""  # noqa: S608 - of numbers of this module


def measure(taps: int, tell: Tell) -> Table:
    """Close a day of so many taps, and say what each step took.

    Raises:
        RuntimeError: PostgreSQL is not installed.
    """
    programs = find_programs()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="jolaqy-bench-", dir=DISK) as folder:
        server = PostgresqlServer(programs, is_durable=True)
        try:
            return _measure(server, Path(folder) / "keys.json", taps, tell)
        finally:
            server.stop()


def _measure(server: PostgresqlServer, keys: Path, taps: int, tell: Tell) -> Table:
    server.execute("CREATE DATABASE bench")
    url = server.url("bench")
    database = Database(url)
    prepare(database, open_keys(keys), NOW_MS, [CITY])
    database.close()
    tell(f"a day of {taps} taps in PostgreSQL")
    begun = time.monotonic()
    _fill(url, taps)
    tell(f"it took {time.monotonic() - begun:.0f} s; closing it")
    command = [sys.executable, "-m", "tests.bench_clearing.closing_steps", url, str(keys)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    told = json.loads(done.stdout)
    steps = told["steps"]
    rows: list[tuple[Cell, ...]] = [(s["step"], s["seconds"], s["cpu_seconds"], s["peak_mb"]) for s in steps]
    sums = [sum(step[name] for step in steps) for name in ("seconds", "cpu_seconds")]
    rows.append(("all", *sums, max(step["peak_mb"] for step in steps)))
    note = (
        f"{taps} taps by {taps // TAPS_EACH} media on {_BUSES} buses, {told['records']} records; {told['leaves']} leaves; "
        f"{told['entries']} entries with {told['postings']} postings. PostgreSQL writes to disk at COMMIT (fsync). Peak "
        "memory and CPU are the closing process's, without the database's. Proofs by transport cards are not in it: "
        "the made records carry none."
    )
    return Table("Closing a day", ("step", "seconds", "own CPU s", "peak MB"), rows, note)


def _fill(url: str, taps: int) -> None:
    """Put the day into its table; what it would refer to is not made."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_FILL.encode(), {"taps": taps, "media": max(1, taps // TAPS_EACH)})
        connection.execute("ANALYZE tap")
