"""The table of closes: each is a service day made final, in a version; a version is never changed."""

from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clearing.database import Base


class Close(Base):
    """A closed day.

    Attributes:
        version: 1, and one more each time that late taps changed the day.
        totals_json: canonical JSON of everything that the close says.
        sha256: hexadecimal, over `totals_json`.
    """

    __tablename__ = "close"
    __table_args__ = (UniqueConstraint("city", "service_day", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(ForeignKey("city.code"))
    service_day: Mapped[str]
    version: Mapped[int]
    closed_at_ms: Mapped[int]
    closed_by: Mapped[str] = mapped_column(ForeignKey("principal.id"))
    totals_json: Mapped[str]
    sha256: Mapped[str]
