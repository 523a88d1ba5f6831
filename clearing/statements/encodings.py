"""Text of counterparties' files, and what old encodings do to Kazakh. Pure.

Windows-1251 has no Kazakh letters (Ә Ғ Қ Ң Ө Ұ Ү Һ) and no ₸: a program that must write it puts question marks in their place.
KZ-1048 is Windows-1251 with sixteen letters of other languages replaced by the Kazakh ones, so that the one is easily read as the
other, and no error is raised: Қазақ becomes Ќазаќ.
"""

from __future__ import annotations

import re

_CODECS = {"utf-8": "utf-8-sig", "windows-1251": "cp1251", "kz-1048": "kz1048"}
# What the Kazakh letters of KZ-1048 look like in Windows-1251: letters that no Russian or Kazakh text has.
_MISREAD = re.compile("[ЌЋќћЎўЈҐЄЇґєјЅѕї]")
_LOST = re.compile(r"\w\?|\?\w")
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")


def decode_text(body: bytes, encoding: str) -> tuple[str, list[str], list[str]]:
    """Text, faults and notes; with a fault the text is empty."""
    try:
        text = body.decode(_CODECS[encoding])
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        return "", [f"line {line}: not {encoding}; {_remedy(encoding)}"], []
    if (match := _CONTROL.search(text)) is not None:
        line = text.count("\n", 0, match.start()) + 1
        return "", [f"line {line}: a sign that no text has; the file is damaged, or of another format"], []
    if encoding == "windows-1251" and (match := _MISREAD.search(text)) is not None:
        line = text.count("\n", 0, match.start()) + 1
        return (
            "",
            [f"line {line}: {match[0]} is in no Kazakh or Russian word: the file is KZ-1048, say so in its adapter"],
            [],
        )
    notes = []
    if encoding == "windows-1251":
        lines = [number for number, each in enumerate(text.split("\n"), 1) if _LOST.search(each)]
        notes = [
            f"line {number}: a question mark within a name, where Windows-1251 has no Kazakh letter" for number in lines
        ]
    return text, [], notes


def _remedy(encoding: str) -> str:
    if encoding == "utf-8":
        return "if it is Windows-1251 or KZ-1048, name that in its adapter; better ask for UTF-8, which has every Kazakh letter"
    return "name the encoding that it has in its adapter"
