"""Tables of media: what is on a city's lists. A token is keyed; no card number or telephone number is stored."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class DenyEntry(Base):
    """A medium that validators must refuse while `removed_at_ms` is absent."""

    __tablename__ = "deny_entry"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    token: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    added_at_ms: Mapped[int]
    removed_at_ms: Mapped[int | None]


class AllowEntry(Base):
    """A medium on a city's allow list while `removed_at_ms` is absent."""

    __tablename__ = "allow_entry"

    city: Mapped[str] = mapped_column(ForeignKey("city.code"), primary_key=True)
    token: Mapped[bytes] = mapped_column(primary_key=True)
    reason: Mapped[str]
    added_at_ms: Mapped[int]
    removed_at_ms: Mapped[int | None]
