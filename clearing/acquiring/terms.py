"""What a city has agreed with its acquirer, as its package says; where it names none, the package's defaults hold.

Terms are dated: those of a charge's service day hold for it, so that a new agreement changes nothing of an old day.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from clearing.network.parties import Acquirer, Names
from clearing.network.service import city_of, lock_city, parties_of

MEDIA = ("bank_card", "phone_nfc")
_NOBODY = Acquirer(code="acquirer", names=Names(kk="эквайер", ru="эквайер", en="acquirer"))


@dataclass(frozen=True)
class Terms:
    """The terms of one city, within one session.

    Attributes:
        currency: three letters; money in another one is not believed.
    """

    session: Session
    city: str
    zone: str
    currency: str
    _named: dict[str, Acquirer | None] = field(default_factory=dict)

    def acquirer_on(self, day: str) -> Acquirer:
        """Everything about the acquirer of a service day."""
        return self._named_on(day) or _NOBODY

    def party_on(self, day: str) -> str:
        """The acquirer's code, empty where the package names none."""
        named = self._named_on(day)
        return named.code if named else ""

    def _named_on(self, day: str) -> Acquirer | None:
        if day not in self._named:
            self._named[day] = parties_of(self.session, self.city, day).acquirer
        return self._named[day]


def terms_of(session: Session, code: str) -> Terms:
    """A city's terms.

    Raises:
        NotFoundError: it is not loaded.
    """
    city = city_of(session, code)
    return Terms(session, city.code, city.zone, city.currency)


def locked_terms(session: Session, code: str) -> Terms:
    """The same, with the city held until this writing session ends: one at a time changes its charges."""
    lock_city(session, code)
    return terms_of(session, code)
