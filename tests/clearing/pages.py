"""A reader of the pages: asks as a browser does and sees words."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from tests.builders import Office


def ask(office: Office, path: str, **headers: str) -> httpx.Response:
    """What a browser gets."""
    answer: httpx.Response = office.client.get(
        path, headers={"accept": "text/html,*/*;q=0.8", "accept-language": "en"} | headers
    )
    return answer


def words(answer: httpx.Response) -> str:
    """What a reader sees of a page: its text, each gap one space."""
    text = html.unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2]))
    return re.sub(r"\s+", " ", text)


def read(office: Office, path: str, **headers: str) -> str:
    answer = ask(office, path, **headers)
    assert answer.status_code == 200, answer.text
    return words(answer)
