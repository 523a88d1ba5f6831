"""The job that works off what is due: `jolaqy acquiring run`. It can be ended at any moment and started again.

Each part works in batches of its own transaction. A batch first writes down what will be asked and commits; then it sends, with
no transaction open; then it takes in what came back and commits. What was not answered stays `asked`: the next run, and the end
of this one, ask what became of it before anything else is tried.

It belongs into a timer that fires every few minutes: a card is on the buses' deny list, or off it, when the run that has learnt
so ends, and the validators fetch the list within minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from clearing.access.roles import Caller
from clearing.access.service import record_audit
from clearing.acquiring.answers import Told, take_told, unanswered
from clearing.acquiring.asking import plan_charges, plan_verifications, requests_of, wake_by_taps
from clearing.acquiring.client import AcquirerClient, Answer, NoAnswerError, Request, UsedBeforeError
from clearing.acquiring.denying import keep_deny_list
from clearing.acquiring.lines import add_up, cards_of, days_to_add_up, stale_rides, take_out
from clearing.acquiring.models import BankCard
from clearing.acquiring.terms import MEDIA, Terms, locked_terms, terms_of
from clearing.database import Database
from clearing.fleet.documents import DENY_LIST, WIRE_MEDIA
from clearing.fleet.keys import KeyStore
from clearing.fleet.lists import sign_whole
from clearing.ingest.models import TapRow
from clearing.network.service_day import service_day
from protocol.decisions import DECISION_ACCEPTED
from protocol.tap import KIND_SINGLE

BATCH = 500
RIDES_AT_ONCE = 2000
UNKNOWN_COUNTED_MAX = 10_000
# So many in a row without an answer, and the acquirer is left alone until the next run.
SILENCES_MAX = 5
_WIRE = [WIRE_MEDIA[medium] for medium in MEDIA]

Plan = Callable[[Session, Terms, int, int], tuple[int, list[Request]]]


@dataclass
class RunReport:
    """What a run did.

    Attributes:
        rides: added up or changed.
        asked: operations sent for the first time, by kind.
        ended: operations of which the end became known.
        unknown: operations of which it is still not known, up to UNKNOWN_COUNTED_MAX.
        denied, undenied: cards put on the deny list and taken off.
        faults: what the acquirer said that was not believed, and why nothing came; each once.
        is_complete: nothing is due any more.
    """

    rides: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    ended: int = 0
    unknown: int = 0
    denied: int = 0
    undenied: int = 0
    faults: list[str] = field(default_factory=list)
    is_complete: bool = True


class Run:
    """One run for one city; `say` is told of the progress, `limit` bounds what is sent."""

    def __init__(
        self,
        database: Database,
        keys: KeyStore,
        caller: Caller,
        city: str,
        now_ms: int,
        *,
        limit: int,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._caller = caller
        self._city = city
        self._now_ms = now_ms
        self._left = limit
        self._say = say
        self._silences = 0
        self._has_unanswered = False
        self.report = RunReport()

    def add_up(self, since: str | None = None) -> None:
        """Enter cards and bring rides into their charges; needs no acquirer."""
        with self._database.writing() as session:
            terms = locked_terms(session, self._city)
            find_new_cards(session, terms, self._now_ms)
            days = days_to_add_up(session, terms, self._now_ms, since)
        for day in days:
            with self._database.reading() as session:
                stale = stale_rides(session, terms_of(session, self._city), day)
            for start in range(0, len(stale), RIDES_AT_ONCE):
                self._add_up(day, stale[start : start + RIDES_AT_ONCE])
            while self._take_out(day):
                pass

    def _add_up(self, day: str, fare_ids: Sequence[int]) -> None:
        with self._database.writing() as session:
            terms = locked_terms(session, self._city)
            self.report.rides += add_up(session, terms, day, fare_ids, self._now_ms)
        self._say(f"{day}: {self.report.rides} rides added up")

    def _take_out(self, day: str) -> int:
        with self._database.writing() as session:
            count = take_out(session, locked_terms(session, self._city), day, self._now_ms, RIDES_AT_ONCE)
        self.report.rides += count
        return count

    def work_off(self, acquirer: AcquirerClient) -> RunReport:
        """Ask the acquirer for everything that is due, and keep the deny list."""
        self._resolve(acquirer)
        with self._database.writing() as session:
            wake_by_taps(session, locked_terms(session, self._city), self._now_ms)
        self._work_off_all(acquirer, plan_verifications)
        self._work_off_all(acquirer, plan_charges)
        if self._has_unanswered:
            self._resolve(acquirer)
        self._end()
        if self.report.denied or self.report.undenied:
            sign_whole(self._database, self._keys, DENY_LIST, self._city)
        return self.report

    def _work_off_all(self, acquirer: AcquirerClient, plan: Plan) -> None:
        while self._left > 0 and self._silences < SILENCES_MAX:
            with self._database.writing() as session:
                terms = locked_terms(session, self._city)
                looked_at, requests = plan(session, terms, self._now_ms, min(BATCH, self._left))
            if not looked_at:
                break
            self._left -= len(requests)
            self._take([self._ask(acquirer, request) for request in requests])
            self._say(", ".join(f"{count} × {kind}" for kind, count in sorted(self.report.asked.items())))
        else:
            self.report.is_complete = False
        with self._database.writing() as session:
            locked_terms(session, self._city)
            self._deny(session)

    def _ask(self, acquirer: AcquirerClient, request: Request) -> Told:
        if self._silences >= SILENCES_MAX:
            return Told(request.reference, None, "not sent yet: the acquirer does not answer")
        self.report.asked[request.kind] = self.report.asked.get(request.kind, 0) + 1
        return self._tell(acquirer, request, lambda: acquirer.ask(request))

    def _find(self, acquirer: AcquirerClient, request: Request) -> Told:
        """What became of it; what the acquirer has never heard of, or holds another way, is sent again."""

        def find() -> Answer:
            found = acquirer.find(request.reference)
            return found if found and found.amount_minor == request.amount_minor else acquirer.ask(request)

        return self._tell(acquirer, request, find)

    def _tell(self, acquirer: AcquirerClient, request: Request, exchange: Callable[[], Answer]) -> Told:
        is_earlier = False
        try:
            try:
                answer: Answer | None = exchange()
            except UsedBeforeError:
                answer, is_earlier = acquirer.find(request.reference), True
        except NoAnswerError as error:
            self._silences += 1
            self._has_unanswered = True
            return Told(request.reference, None, str(error))
        self._silences = 0
        return Told(request.reference, answer, is_earlier=is_earlier)

    def _take(self, told: Sequence[Told]) -> None:
        if not told:
            return
        with self._database.writing() as session:
            terms = locked_terms(session, self._city)
            self.report.ended += take_told(session, terms, told, self._now_ms)

    def _deny(self, session: Session) -> None:
        denied, undenied = keep_deny_list(session, self._keys, self._caller, self._city, self._now_ms)
        self.report.denied += denied
        self.report.undenied += undenied

    def _resolve(self, acquirer: AcquirerClient) -> None:
        """Find out what became of what was not answered; what the acquirer has never heard of is sent again, the same."""
        self._silences, after = 0, 0
        while self._silences < SILENCES_MAX:
            with self._database.reading() as session:
                operations = unanswered(session, self._city, after, BATCH)
                requests = requests_of(session, terms_of(session, self._city), operations)
            if not requests:
                return
            self._take([self._find(acquirer, request) for request in requests if self._silences < SILENCES_MAX])
            after = operations[-1].id

    def _end(self) -> None:
        with self._database.writing() as session:
            locked_terms(session, self._city)
            self._deny(session)
            left = unanswered(session, self._city, 0, UNKNOWN_COUNTED_MAX)
            self.report.unknown = len(left)
            self.report.faults = sorted({operation.fault for operation in left if operation.fault})
            detail: dict[str, object] = {"asked": self.report.asked, "ended": self.report.ended}
            if self.report.asked or self.report.ended:
                record_audit(session, self._caller.principal_id, self._now_ms, "acquiring.run", self._city, detail)


def find_new_cards(session: Session, terms: Terms, now_ms: int) -> int:
    """Cards that were held before a validator for the first time, yesterday or today: they are to be verified at once."""
    today = service_day(terms.zone, now_ms // 1000)
    if not terms.acquirer_on(today).account_verification:
        return 0
    days = [today, (date.fromisoformat(today) - timedelta(days=1)).isoformat()]
    known = select(BankCard.id).where(BankCard.city == terms.city, BankCard.token == TapRow.token)
    rows = session.execute(
        select(TapRow.token, TapRow.tapped_at_s)
        .where(TapRow.city == terms.city, TapRow.service_day.in_(days), TapRow.kind == KIND_SINGLE)
        .where(TapRow.medium.in_(_WIRE), TapRow.decision == DECISION_ACCEPTED, TapRow.test.is_(False))
        .where(TapRow.token.is_not(None), ~known.exists())
    )
    first_s: dict[bytes, int] = {}
    for token, at_s in rows:
        assert token is not None
        first_s[token] = min(first_s.get(token, at_s), at_s)
    for card in cards_of(session, terms.city, first_s).values():
        card.next_at_ms = now_ms
    return len(first_s)
