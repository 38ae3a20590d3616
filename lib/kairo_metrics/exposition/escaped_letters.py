"""How the schemes write a name letter by letter.

Source: https://prometheus.io/docs/instrumenting/escaping_schemes/
"""

from __future__ import annotations

__all__ = ["escaped_letters"]


def escaped_letters(name: str, scheme: str, *, colons: bool) -> str:
    """Return a name as a scheme writes it; for the arguments see `escaped`.

    Example:
        >>> escaped_letters("mail.to", "values", colons=True)
        'U__mail_2e_to'
    """
    start = "U__" if scheme == "values" else ""
    return start + "".join([_letter(letter, place, scheme, colons=colons) for place, letter in enumerate(name)])


def _letter(letter: str, place: int, scheme: str, *, colons: bool) -> str:
    if letter == "_":
        return "_" if scheme == "underscores" else "__"
    if letter.isascii() and ((letter.isalpha() or (letter.isdigit() and place > 0)) or (colons and letter == ":")):
        return letter
    match scheme:
        case "dots":
            return "_dot_" if letter == "." else "__"
        case "values":
            return f"_{ord(letter):x}_"
    return "_"
