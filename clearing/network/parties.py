"""Who takes part in a city's money besides riders: `parties.toml` of a city package, as it is read, stored and asked. Pure.

A fare operator clears fares for carriers and keeps a commission. An acquirer, QR providers, SMS aggregators and agents take
riders' money and pass it on. Payers stand for concessions. Carriers are paid. What a city does not say has its default here,
so that `Parties()` is a city of which nobody is known.

Commissions are basis points (1/100 of a per cent), terms are calendar days unless a name says other units, amounts are tiyn.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clearing.network.records import (
    FIRST_DAY,
    AmountMinor,
    BasisPoints,
    Bic,
    Bin,
    Category,
    Code,
    Day,
    Days,
    Iban,
    Line,
    LocalTime,
    Medium,
    Names,
    Record,
    Seconds,
    looks_like,
)

__all__ = ["FIRST_DAY", "Names"]


class Payee(Record):
    """Whoever money is paid to, or comes from.

    Attributes:
        bin: business identification number.
        iban, bic: account and bank; absent where nothing is paid to it.
        beneficiary_code: Кбе of a payment to it, residence and sector.
    """

    code: Code
    bin: Bin | None = None
    iban: Iban | None = None
    bic: Bic | None = None
    beneficiary_code: Annotated[str, looks_like(r"^[12][0-9]$", "two digits, such as 17")] = "17"


class Party(Payee):
    """A firm or authority."""

    names: Names


class CarrierAccount(Payee):
    """How a carrier of `network.toml` is paid; its names stand there.

    Attributes:
        commission_bp: what its fare operator keeps of its fares, where this differs from the operator's own.
    """

    bin: Bin
    iban: Iban
    bic: Bic
    commission_bp: BasisPoints | None = None


class Operator(Party):
    """A fare operator: it clears the rides of its carriers by its media on its routes; what it does not list is all of them.

    Attributes:
        commission_bp: what it keeps of the fares that it clears.
        payout_days: carriers are paid so many days after the service day.
        payout_minimum_minor: what is less waits for the next payout.
        payment_purpose: КНП of a payout.
    """

    commission_bp: BasisPoints = 0
    payout_days: Days = 1
    payout_minimum_minor: AmountMinor = 0
    payment_purpose: Annotated[str, looks_like(r"^[0-9]{3}$", "three digits, such as 859")] = "859"
    carriers: tuple[Code, ...] = ()
    media: tuple[Medium, ...] = ()
    routes: tuple[Line, ...] = ()

    def clears(self, carrier: str, medium: str, line: int) -> bool:
        """Whether a ride is its own."""
        return (
            (not self.carriers or carrier in self.carriers)
            and (not self.media or medium in self.media)
            and (not self.routes or line in self.routes)
        )


class Window(Record):
    """The hours whose taps by one bank card are added up to one payment; it may span midnight.

    Attributes:
        begins: local time.
        hours: the next window begins when it ends, so 24, 12, 8, 6, 4, 3, 2 or 1.
    """

    begins: LocalTime = "03:00"
    hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = 24


class Debt(Record):
    """What happens when a bank declines: so many tries to recover the debt within so many days, then it is final.

    Attributes:
        block_within_minutes: the card is on the buses' deny list, or off it after payment, within this time.
        written_off_to: who bears a debt that was never paid, beyond the first ride.
    """

    tries: Annotated[int, Field(ge=0, le=30)] = 6
    within_days: Days = 14
    block_within_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    written_off_to: Literal["operator", "carrier"] = "operator"


class Acquirer(Party):
    """The bank that takes bank-card fares; a city has at most one.

    Attributes:
        settlement_days: money arrives so many days after the capture.
        window: taps of one card within it are one payment.
        authorise_after_minutes: the payment is asked for so long after its window has ended.
        account_verification: a card seen for the first time is verified by a request over zero at once.
        first_ride_liability: who bears the first ride of a card that is then declined.
        first_ride_maximum_minor: the issuer bears it up to this amount only.
        chargeback_fee_minor: what a chargeback costs the operator.
    """

    media: tuple[Medium, ...] = ("bank_card", "phone_nfc")
    commission_bp: BasisPoints = 0
    commission_minimum_minor: AmountMinor = 0
    settlement_days: Days = 1
    window: Window = Window()
    authorise_after_minutes: Annotated[int, Field(ge=0, le=2880)] = 0
    account_verification: bool = True
    first_ride_liability: Literal["issuer", "operator"] = "operator"
    first_ride_maximum_minor: AmountMinor = 0
    chargeback_fee_minor: AmountMinor = 0
    debt: Debt = Debt()


class QrProvider(Party):
    """A bank or payment app by which riders pay for a code.

    Attributes:
        nonce_s: a code on the validator's screen can be paid so long after it was shown.
        ticket_s: the receipt is a valid ticket for so long after the payment.
        late_after_s: a notification that comes so long after the payment was made is late.
        late: whether a late payment still is a ride (`accept`), or is paid back (`reject`).
        expires_after_s: what comes later than this is no ride in any case.
    """

    media: tuple[Medium, ...] = ("qr", "qr_screen")
    commission_bp: BasisPoints = 0
    settlement_days: Days = 1
    nonce_s: Seconds = 120
    ticket_s: Seconds = 3_600
    late_after_s: Seconds = 900
    late: Literal["accept", "reject"] = "accept"
    expires_after_s: Seconds = 86_400


class SmsAggregator(Party):
    """Whoever collects fares from telephone accounts.

    Attributes:
        short_number: what riders text to.
        late_after_s: a message that arrives so long after it was sent is late.
        late: whether a late message still is a ride (`accept`), or is not charged (`reject`).
        expires_after_s: what arrives later than this is not charged in any case.
        repeat_within_s: a second message of one telephone for one vehicle within this time is the same ride.
        ticket_s: the answer is a valid ticket for so long.
    """

    short_number: Annotated[str, looks_like(r"^[0-9]{3,6}$", "three to six digits, such as 2001")]
    commission_bp: BasisPoints = 0
    settlement_days: Days = 30
    late_after_s: Seconds = 900
    late: Literal["accept", "reject"] = "accept"
    expires_after_s: Seconds = 86_400
    repeat_within_s: Seconds = 120
    ticket_s: Seconds = 5_400


class Agent(Party):
    """Whoever sells top-ups and owes what was taken.

    Attributes:
        commission_bp: what it keeps of the top-ups.
        remittance_days: it pays so many days after the service day.
        owes_maximum_minor: it may owe no more than this; absent for no limit.
        top_up_minimum_minor, top_up_maximum_minor: bounds of one top-up.
    """

    commission_bp: BasisPoints = 0
    remittance_days: Days = 1
    owes_maximum_minor: AmountMinor | None = None
    top_up_minimum_minor: AmountMinor = 10_000
    top_up_maximum_minor: AmountMinor = 2_000_000


class Bank(Record):
    """A bank in which an account of the city's parties is kept, and how it tells what happened on it."""

    bic: Bic
    names: Names
    statement: Literal["camt053", "csv"] = "camt053"


class PaidConcession(Record):
    """A concession that an authority pays for; at which price, the tariff says (`agreed_minor` of its rules).

    Attributes:
        category: rider category.
        valid_from, valid_until: service days, both included; absent without a limit.
    """

    category: Category
    valid_from: Day | None = None
    valid_until: Day | None = None

    def holds_on(self, day: str) -> bool:
        """Whether it is in force on a service day."""
        return (self.valid_from or day) <= day <= (self.valid_until or day)


class Payer(Party):
    """An authority that pays for concessions.

    Attributes:
        claim_days: a month's claim is due so many days after the month.
    """

    claim_days: Days = 20
    concessions: tuple[PaidConcession, ...] = ()


class Pool(Record):
    """Carriers that share a day's fares, whoever drove.

    Attributes:
        by: shares follow `weights`, or the number of `rides` that each drove.
        weights: by carrier.
    """

    code: Code
    carriers: Annotated[tuple[Code, ...], Field(min_length=2)]
    by: Literal["rides", "weights"] = "rides"
    weights: dict[Code, Annotated[int, Field(ge=0, le=1_000_000)]] = Field(default_factory=dict)


class Shares(Record):
    """How fares become carriers' money: each keeps what it drove, but for pools.

    Attributes:
        transfers: the fare of a journey belongs to the carrier of its `first` ride, or is shared `equal` by its rides.
        passes: what passes cost is shared by `rides` on them, or by the `adult` fares of these rides.
    """

    transfers: Literal["first", "equal"] = "first"
    passes: Literal["rides", "adult"] = "rides"
    pools: tuple[Pool, ...] = ()


class CloseRules(Record):
    """When a day is final, and what is done with rides of which nobody knows whether the card committed them.

    Attributes:
        final_after_days: a provisional day becomes final so many days later.
        unknown_rides: they are `held` outside of the books, `waived` when the day is final, or then `charged` to the operator.
    """

    final_after_days: Days = 14
    unknown_rides: Literal["held", "waived", "charged"] = "held"


class TopUpRules(Record):
    """Top-ups that were paid for and not yet loaded onto the card.

    Attributes:
        expire_after_days: they are given back to whoever paid.
    """

    expire_after_days: Days = 180


class CashRules(Record):
    """What a carrier does with cash.

    Attributes:
        count_days, bank_days: a till is counted, and the cash is in the bank, so many days after the service day.
        tolerance_minor: a smaller difference of a till is no break.
    """

    count_days: Days = 1
    bank_days: Days = 3
    tolerance_minor: AmountMinor = 0


class Parties(Record):
    """Everybody of `parties.toml`, by role; the file has one table for each, `[[operator]]` for `operators` and so on.

    Attributes:
        valid_from: first service day on which all this holds; what held before is kept in the database.
        demonstration: nobody of them exists.
    """

    valid_from: Day = FIRST_DAY
    demonstration: bool = False
    operators: tuple[Operator, ...] = Field(default=(), alias="operator")
    acquirer: Acquirer | None = None
    qr_providers: tuple[QrProvider, ...] = Field(default=(), alias="qr_provider")
    sms_aggregators: tuple[SmsAggregator, ...] = Field(default=(), alias="sms_aggregator")
    agents: tuple[Agent, ...] = Field(default=(), alias="agent")
    banks: tuple[Bank, ...] = Field(default=(), alias="bank")
    payers: tuple[Payer, ...] = Field(default=(), alias="payer")
    carriers: tuple[CarrierAccount, ...] = Field(default=(), alias="carrier")
    shares: Shares = Shares()
    close: CloseRules = CloseRules()
    cash: CashRules = CashRules()
    top_ups: TopUpRules = TopUpRules()

    def operator_of(self, carrier: str, medium: str, line: int) -> Operator | None:
        """Who clears a ride; the package makes sure that there is one at most."""
        return next((operator for operator in self.operators if operator.clears(carrier, medium, line)), None)

    def carrier(self, code: str) -> CarrierAccount | None:
        """How a carrier is paid."""
        return next((carrier for carrier in self.carriers if carrier.code == code), None)

    def commission_bp(self, carrier: str, medium: str, line: int) -> int:
        """What is kept of the fare of a ride: the carrier's own rate, or else its operator's."""
        account, operator = self.carrier(carrier), self.operator_of(carrier, medium, line)
        if account is not None and account.commission_bp is not None:
            return account.commission_bp
        return 0 if operator is None else operator.commission_bp

    def qr_provider(self, code: str) -> QrProvider | None:
        return next((provider for provider in self.qr_providers if provider.code == code), None)

    def sms_aggregator(self, code: str) -> SmsAggregator | None:
        return next((aggregator for aggregator in self.sms_aggregators if aggregator.code == code), None)

    def agent(self, code: str) -> Agent | None:
        return next((agent for agent in self.agents if agent.code == code), None)

    def payer_of(self, category: int, day: str) -> Payer | None:
        """Which authority pays for a rider category on a service day, and at which price."""
        return next(
            (
                payer
                for payer in self.payers
                for concession in payer.concessions
                if concession.category == category and concession.holds_on(day)
            ),
            None,
        )
