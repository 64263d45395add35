"""How messages are spelled, for Python and for the shell, and at whose line warnings point."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

ESTIMATOR = "KMeans"


class Text(str):
    """A message: as a `str` it is for those who write Python, `shell` for those who type commands.

    An exception or warning that is made of one keeps both, also on its way from a worker.
    """

    shell: str

    def __new__(cls, python: str, shell: str) -> Text:
        made = super().__new__(cls, python)
        made.shell = shell
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Text, (str(self), self.shell)


def typed(python: str, shell: str) -> Text:
    """A part of a message that the two spell in their own ways."""
    return Text(python, shell)


def text(*parts: str) -> Text:
    """The message of these parts, one after the other; what is secret in URLs is left out."""
    python, shell = map("".join, (parts, map(for_shell, parts)))
    return Text(shown_url(python), shown_url(shell))


def message_of(error: BaseException) -> str:
    """The message that an exception or warning was made of: a `Text` where it is one of ours."""
    own = error.args[0] if error.args else None
    return own if isinstance(own, Text) else str(error)


def for_shell(message: str | BaseException) -> str:
    """What the shell shows of a message, or of an exception or warning that was made of one."""
    shown = message_of(message) if isinstance(message, BaseException) else message
    return shown.shell if isinstance(shown, Text) else shown


SKIP_NAN = typed(f'{ESTIMATOR}(nan="skip")', "--nan skip")

_SECRETS = re.compile(
    r"""
    (?P<scheme>[A-Za-z][\w+.-]*://)
    (?P<user>[^\s/'"?#]*:(?!\d+/)[^\s'"?#]*@|(?<=http://)[^\s/'"?#]*@|(?<=https://)[^\s/'"?#]*@)?
    (?P<path>[^\s'"?#]*)
    (?P<query>\?(?=[^\s'"/]*=)[^\s<]*?(?=['"]?[.,;:)>\]]*(?:[\s<]|$)))?
    """,
    re.VERBOSE,
)
"""URLs within a text. A query is `?name=`: a `?` alone may be that of a glob."""


def shown_url(url: str) -> str:
    """A URL, or a text with URLs in it, without passwords, signatures and other queries."""

    def shown(match: re.Match[str]) -> str:
        return match["scheme"] + match["path"] + ("?..." if match["query"] else "")

    return _SECRETS.sub(shown, url)


def as_cause(error: Exception) -> Exception | None:
    """What another error may name as its cause: not what holds the secrets of a URL."""
    return error if shown_url(str(error)) == str(error) else None


def given_text(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


def sizes(shape: Sequence[int]) -> str:
    return str(tuple(int(size) if size == size else "nan" for size in shape)).replace("'", "")


def brief(chunks: Any) -> str:
    chunks = tuple(chunks)
    shown = ", ".join(map(str, chunks[:4]))
    return f"({shown}{', ...' if len(chunks) > 4 else ''}; {len(chunks)} in all)"


def listing(names: Iterable[Any], limit: int = 30) -> str:
    names = list(names)
    shown = ", ".join(map(repr, names[:limit])) or "none"
    return shown + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def user_stack_level() -> int:
    """Stack level of the first frame outside this package: warnings show the user's line."""
    package = __name__.partition(".")[0]
    frame = inspect.currentframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level
