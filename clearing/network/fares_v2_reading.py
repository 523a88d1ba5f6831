"""The fares of a GTFS feed (Fares v2) in our words: media, rider categories, and products with their prices. Pure.

Media and rider categories of other names are matched by their type and default; what cannot be matched is noted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from clearing.money import parse_minor
from clearing.network.consistency import CATEGORIES
from clearing.network.fares_v2 import ANYWHERE, BETWEEN_ZONES, CURRENCY, MEDIA
from clearing.network.faults import Fault
from clearing.network.gtfs_feed import LINE, Feed
from clearing.network.package_files import ADULT, FARE_MINOR_MAX

Fares = dict[tuple[str, int], int]

_MEDIA_BY_TYPE = {"0": ("cash",), "2": ("transport_card",), "3": ("bank_card", "phone_nfc"), "4": ("qr", "qr_screen")}
_FIRST_OWN_CATEGORY = max(CATEGORIES) + 1


class FeedFares:
    """A feed's fares while they are read.

    Attributes:
        faults: what refuses the feed.
        notes: what is in the feed and not taken over, a sentence each.
        categories: names of rider categories beyond the five of every city, by number.
        products: prices by medium and rider category.
    """

    def __init__(self, feed: Feed) -> None:
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        self.categories: dict[str, dict[str, str]] = {}
        self._feed = feed
        self._media = self._read_media()
        self._categories = self._read_categories()
        self.products = self._read_products()
        self._note_rest()

    def fault(self, table: str, row: Mapping[str, str], what: str, remedy: str) -> None:
        self.faults.append(Fault(table, int(row[LINE]), what, remedy))

    def _read_media(self) -> dict[str, tuple[str, ...]]:
        """Our media by the feed's."""
        found: dict[str, tuple[str, ...]] = {}
        for row in self._feed.rows("fare_media.txt"):
            medium = row["fare_media_id"]
            ours = (medium,) if medium in MEDIA else _MEDIA_BY_TYPE.get(row["fare_media_type"], ())
            if not ours:
                self.notes.append(
                    f"fare medium {medium} (type {row['fare_media_type']}) is none of ours: its prices are left out"
                )
            elif medium not in MEDIA:
                self.notes.append(f"fare medium {medium} is taken to be {' and '.join(ours)}")
            found[medium] = ours
        return found

    def _read_categories(self) -> dict[str, int]:
        """Our rider categories by the feed's."""
        found: dict[str, int] = {}
        rows = self._feed.rows("rider_categories.txt")
        taken = {int(row["rider_category_id"]) for row in rows if _is_category(row["rider_category_id"])}
        free = (number for number in range(_FIRST_OWN_CATEGORY, 0xFFFF) if number not in taken)
        for row in rows:
            category, name = row["rider_category_id"], row["rider_category_name"]
            if _is_category(category):
                number = int(category)
            elif row.get("is_default_fare_category") == "1":
                number = ADULT
            else:
                number = next(free)
                self.notes.append(f"rider category {category} ({name}) has become {number}")
            found[category] = number
            if number not in CATEGORIES:
                self.categories[str(number)] = dict.fromkeys(("kk", "ru", "en"), name)
        return found

    def _read_products(self) -> dict[str, Fares]:
        """Fares by product; a row without category or medium is of all of them."""
        products: defaultdict[str, Fares] = defaultdict(dict)
        every_medium = [medium for media in self._media.values() for medium in media] or list(MEDIA)
        for row in self._feed.rows("fare_products.txt"):
            fare_minor = self._amount(row)
            category = row.get("rider_category_id", "")
            if category and category not in self._categories:
                self.fault(
                    "fare_products.txt", row, f"there is no rider category {category}", "add it to rider_categories.txt"
                )
                continue
            medium = row.get("fare_media_id", "")
            if medium and medium not in self._media:
                self.fault("fare_products.txt", row, f"there is no fare medium {medium}", "add it to fare_media.txt")
                continue
            numbers = [self._categories[category]] if category else (list(self._categories.values()) or [ADULT])
            for ours in self._media[medium] if medium else every_medium:
                products[row["fare_product_id"]] |= {(ours, number): fare_minor for number in numbers}
        return dict(products)

    def _amount(self, row: Mapping[str, str]) -> int:
        if row["currency"] != CURRENCY:
            self.fault(
                "fare_products.txt", row, f"currency {row['currency']} is not the city's", f"convert it to {CURRENCY}"
            )
            return 0
        try:
            fare_minor = parse_minor(row["amount"])
        except ValueError as error:
            self.fault("fare_products.txt", row, str(error), "correct it")
            return 0
        if not 0 <= fare_minor <= FARE_MINOR_MAX:
            self.fault("fare_products.txt", row, f"amount {row['amount']} is no fare", "write one from 0 to 10000.00")
            return 0
        return fare_minor

    def _note_rest(self) -> None:
        if self._feed.rows("fare_leg_join_rules.txt"):
            self.notes.append("fare_leg_join_rules.txt is left out: legs are not joined here")
        for row in self._feed.rows("timeframes.txt"):
            if row.get("start_time") or row.get("end_time"):
                place = f"{row.get('start_time') or '00:00:00'} to {row.get('end_time') or '24:00:00'}"
                self.notes.append(f"timeframe {row['timeframe_group_id']} from {place} is taken to be the whole day")
        used = {
            row["fare_product_id"]
            for table in ("fare_leg_rules.txt", "fare_transfer_rules.txt")
            for row in self._feed.rows(table)
            if row.get("fare_product_id")
        }
        for product in sorted(set(self.products) - used):
            self.notes.append(f"fare product {product} is used by no rule, such as a pass: it is left out")

    def groups(self) -> list[list[dict[str, str]]]:
        """Leg rules by the timeframe in which they hold."""
        grouped: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row in self._feed.rows("fare_leg_rules.txt"):
            product = row["fare_product_id"]
            if product not in self.products:
                self.fault(
                    "fare_leg_rules.txt", row, f"there is no fare product {product}", "add it to fare_products.txt"
                )
                continue
            usual = BETWEEN_ZONES if row.get("from_area_id") else ANYWHERE
            if row.get("rule_priority", "") not in {"", ANYWHERE, usual}:
                self.notes.append(f"fare_leg_rules.txt, line {row[LINE]}: rule_priority is left out")
            if row.get("to_timeframe_group_id"):
                self.notes.append(f"fare_leg_rules.txt, line {row[LINE]}: to_timeframe_group_id is left out")
            grouped[row.get("from_timeframe_group_id", "")].append(row)
        return list(grouped.values())


def _is_category(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) <= 0xFFFF
