from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from clearing.schema import migrate

if TYPE_CHECKING:
    from clearing.database import Database

_CITY = (
    "INSERT INTO city (code, number, names_json, zone, currency, package_sha256)"
    " VALUES ('almaty', 1, '{}', 'Asia/Almaty', 'KZT', '')"
)
_FARE = (
    "INSERT INTO fare (source, source_key, city, service_day, carrier, vehicle, medium, category, ridden_at_s, scheduled_minor,"
    " charged_minor, correction_minor, explanation_json) VALUES ('sms', 'a/1', 'almaty', '2024-05-15', 'alatau', 'A-1', 'sms',"
    " 1, 5, 100, 0, 0, :explanation)"
)


def test_fares_that_were_priced_before_know_their_rule(empty_database: Database) -> None:
    migrate(empty_database, "0007")
    with empty_database.writing() as session:
        session.execute(text(_CITY))
        said = '{"day":"2024-05-15","reason":"transfer","taken_minor":0}'
        session.execute(text(_FARE), {"explanation": said})
    migrate(empty_database)
    with empty_database.reading() as session:
        row = session.execute(text("SELECT rule, riders, subsidy_minor, journey_key FROM fare")).one()
    assert tuple(row) == ("transfer", 1, 0, None)
