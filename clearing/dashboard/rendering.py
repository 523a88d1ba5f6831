"""From a template and what a page says to an HTML answer: language, escaping and the headers that every page has.

A page runs only scripts and styles that this service serves as files, none that stand in it, and calls nobody else.
"""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from clearing.dashboard.language import LANGUAGES, choose_language, language

_ALLOWED = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Pico's arrows and ticks
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_HEADERS = {
    "content-security-policy": "; ".join(f"{what} {whence}" for what, whence in _ALLOWED.items()),
    "cache-control": "no-store",
    "vary": "accept-language, cookie",
}
_COOKIE = "jolaqy_language"
_COOKIE_S = 365 * 86_400
# Statuses with words of their own; every other one has the words of 500.
_EXPLAINED = (401, 403, 404, 409, 422)


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("clearing.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def language_of(request: Request) -> str:
    """The language in which to answer a request."""
    asked, remembered = request.query_params.get("lang"), request.cookies.get(_COOKIE)
    return choose_language(asked, remembered, request.headers.get("accept-language", ""))


def render(request: Request, template: str, status: int = 200, **says: object) -> HTMLResponse:
    """A page in the reader's language; one asked for in the address is remembered.

    Links to the page itself are relative to it (`?…`): its path may be anything when it is an error page.
    """
    code = language_of(request)
    words = language(code)
    page = _templates().get_template(template)
    answer = HTMLResponse(
        page.render(
            **says,
            t=words.text,
            words=words,
            languages=LANGUAGES,
            here=f"?{request.url.query}",
            in_language={other: f"?{request.url.include_query_params(lang=other).query}" for other in LANGUAGES},
        ),
        status,
        _HEADERS,
    )
    if request.query_params.get("lang") == code:
        answer.set_cookie(_COOKIE, code, _COOKIE_S, httponly=True, samesite="lax")
    return answer


def wants_page(request: Request) -> bool:
    """Whether whoever asks is to be answered with a page: a browser, outside the interface for programs."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def error_page(request: Request, status: int) -> HTMLResponse:
    """A page that says what went wrong and what to do. It repeats nothing of the request."""
    words = str(status if status in _EXPLAINED else HTTPStatus.INTERNAL_SERVER_ERROR.value)
    return render(request, "error.html", status, status_shown=status, words_of=words, place=None, section="")
