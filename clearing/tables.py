"""The features of the back office, and their tables gathered so that the schema is migrated and compared as a whole."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from sqlalchemy import MetaData

from clearing.database import Base

FEATURES = (
    "access",
    "network",
    "fleet",
    "media",
    "ingest",
    "channels",
    "pricing",
    "ledger",
    "acquiring",
    "settlement",
    "reconciliation",
    "statistics",
    "dashboard",
)
# Rows of these are never changed or deleted; the database itself refuses.
APPEND_ONLY = ("audit_record", "raw_batch", "entry", "posting", "close", "break_event")


def feature_modules(name: str) -> list[ModuleType]:
    """The modules of one name (`models`, `api`, `commands`) of all features that have one."""
    root = Path(__file__).parent
    return [
        import_module(f"clearing.{feature}.{name}") for feature in FEATURES if (root / feature / f"{name}.py").exists()
    ]


def all_tables() -> MetaData:
    """The metadata with every feature's tables in it."""
    feature_modules("models")
    return Base.metadata
