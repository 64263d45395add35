"""Work: how far a pass is, for whoever listens; where nobody does, nothing is counted.

    task -- advance --> Work                                    in this process
    task -- advance --> Messages -- event, scheduler --> Work   on a worker of a cluster

A listener is told of each piece of work as it begins, and looks at it whenever it likes. What tasks
say is where they stand, not what they have added: one that is run again, after a lost worker,
counts once. Processes of Dask's own pool have nobody who would carry their messages: there, work
has a name and an end, and no more.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from dask_kmeans.blockwise.cluster import worker

T = TypeVar("T")

TOPIC = "dask-kmeans-progress"
"""Of the events that workers send. One for all fits: a scheduler never forgets a topic."""

MESSAGE_SECONDS = 0.25
"""Between two messages of a worker about one piece of work, at least."""


class Done(NamedTuple):
    """How much of a piece of work is done."""

    rows: int
    bytes: int
    """That came from the source, not from what is kept of it."""
    parts: int
    """That are done whole."""


class Size(NamedTuple):
    """How much a piece of work is."""

    parts: int
    rows: int | None = None
    """None where they are not known."""
    bytes: int = 0
    """What the source has to give; 0 where that is not known."""
    unit: str = "blocks"
    """What parts are."""


class Advances(Protocol):
    """What tasks tell where they stand."""

    def advance(self, part: int, rows: int, n_bytes: int, whole: bool = False) -> None:
        """So many rows and bytes of this part are done, and whether that is all of them."""


class Work:
    """A pass, or whatever else is done in parts.

    Attributes
    ----------
    name : str
        What is done, such as "iteration 7".
    size : Size
    ended : bool
    """

    _alive: ClassVar[weakref.WeakValueDictionary[str, Work]] = weakref.WeakValueDictionary()

    def __init__(self, name: str, size: Size):
        self.name, self.size, self.ended = name, size, False
        self._token = uuid.uuid4().hex
        self._parts: dict[int, tuple[int, int, bool]] = {}
        self._alive[self._token] = self

    def advance(self, part: int, rows: int, n_bytes: int, whole: bool = False) -> None:
        """See `Advances`; from any thread."""
        self._parts[part] = (rows, n_bytes, whole)

    def done(self) -> Done:
        """How much is done."""
        parts = [(0, 0, False), *self._parts.values()]  # at once: tasks go on
        return Done(*map(sum, zip(*parts, strict=True)))

    def __reduce__(self):
        # What arrives with a task tells this one.
        return _arrived, (self._token,)

    def __dask_tokenize__(self):
        return self._token


class Messages:
    """Tells the work of another process where the tasks of this worker stand."""

    def __init__(self, token: str):
        self._token = token
        self._lock = threading.Lock()
        self._news: dict[int, tuple[int, int, bool]] = {}
        self._sent = time.monotonic()

    def advance(self, part: int, rows: int, n_bytes: int, whole: bool = False) -> None:
        """See `Advances`; a few times a second for all tasks together."""
        with self._lock:
            self._news[part] = (rows, n_bytes, whole)
            now = time.monotonic()
            if now < self._sent + MESSAGE_SECONDS:
                return
            news, self._news, self._sent = self._news, {}, now
        here = worker()
        if here is not None:
            parts = [[part, *where] for part, where in news.items()]
            here.log_event(TOPIC, {"work": self._token, "parts": parts})

    def __reduce__(self):
        return _arrived, (self._token,)


def _arrived(token: str) -> Work | Messages:
    """What a task tells where it stands, in the process that it has come to."""
    work = Work._alive.get(token)
    return Messages(token) if work is None else work


Listener = Callable[[Work], None]
"""Is told of each piece of work as it begins."""

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
"""Of all work that is begun in this context. Whatever runs a pass, reclusters or writes would have
to hand it on otherwise, without a use for it."""


@contextlib.contextmanager
def listening(listener: Listener | None) -> Iterator[None]:
    """Tell `listener` of all work that is begun in here; None: tell nobody."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


_NOBODY: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


def working(
    name: str, size: Callable[[], Size], client: Callable[[], Any] = lambda: None
) -> contextlib.AbstractContextManager[Work | None]:
    """The work that is done in here, as the listener hears of it; None where nobody listens.

    client : gives that of the cluster whose workers do it, if any. It is called, as `size` is, only
        where somebody listens.
    """
    listener = _listener.get()
    return _NOBODY if listener is None else _followed(Work(name, size()), listener, client())


def counted(results: Iterable[T], work: Work | None) -> list[T]:
    """The results, as they come; each is a part of the work."""
    found = []
    for number, result in enumerate(results):
        found.append(result)
        if work is not None:
            work.advance(number, 0, 0, whole=True)
    return found


@contextlib.contextmanager
def _followed(work: Work, listener: Listener, client: Any) -> Iterator[Work]:
    with _subscribed(client):
        listener(work)
        try:
            yield work
        finally:
            work.ended = True


_subscribers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""Pieces of work of each client that messages may come for now."""

_lock = threading.Lock()


@contextlib.contextmanager
def _subscribed(client: Any) -> Iterator[None]:
    """Messages of a client's workers arrive in here."""
    if client is None:
        yield
        return
    with _lock:
        _subscribers[client] = _subscribers.get(client, 0) + 1
        if _subscribers[client] == 1:
            client.subscribe_topic(TOPIC, _hear)
    try:
        yield
    finally:
        with _lock:
            _subscribers[client] -= 1
            if not _subscribers[client] and client.status == "running":
                client.unsubscribe_topic(TOPIC)


def _hear(event: tuple[float, dict[str, Any]]) -> None:
    """Take in a message; of work that has ended, or is another client's, it is no news."""
    _, message = event
    work = Work._alive.get(message["work"])
    if work is not None:
        for part, *where in message["parts"]:
            work.advance(part, *where)
