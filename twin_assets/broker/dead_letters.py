"""The dead letter queue, for an operator: look at all of it, put some back, erase one document's.

One reader at a time, across all processes. A letter leaves the queue only after its handler returned; all
others keep their place.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from pydantic import ValidationError
from yarl import URL

from twin_assets.broker.connection import (
    close_connection,
    open_connection,
    parse_url,
    redact,
    translate_errors,
)
from twin_assets.broker.io_thread import IoThread
from twin_assets.broker.letter_reader import LetterReader, StoredLetter
from twin_assets.broker.topology import DEAD_QUEUE, QueueState, find_queues
from twin_assets.errors import BrokerUnavailable
from twin_assets.models.change import Change, DeadLetter

CALL_TIMEOUT_S = 60.0

T = TypeVar("T")


class DeadLetters:
    """Reads the dead letters. Raises BrokerUnavailable, also where another reader does not finish."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)
        self._io: IoThread | None = None

    def __enter__(self) -> Self:
        self._io = IoThread("twin dead letters", where=redact(self._url))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; safe to repeat."""
        io, self._io = self._io, None
        if io is not None:
            io.close()

    def count(self) -> int:
        """Return how many letters wait; those in another reader's hands are not counted."""
        state = self._run(_look(self._url))
        return state.ready if state else 0

    def peek(self, limit: int = 100) -> list[StoredLetter]:
        """Return the oldest letters, oldest first, and leave all where they are."""
        with self._reading() as reader:
            return [stored for stored, _ in islice(reader.letters(), limit)]

    def take(
        self, selects: Callable[[StoredLetter], bool], handler: Callable[[DeadLetter], None]
    ) -> list[DeadLetter]:
        """Hand each selected letter to `handler`, then remove it; return those removed.

        Letters that arrive meanwhile are left alone. Whatever `handler` raises ends it: that letter stays.
        """
        taken = []
        with self._reading() as reader:
            for stored, tag in reader.letters():
                if selects(stored):
                    handler(stored.letter)
                    reader.remove(tag)
                    taken.append(stored.letter)
        return taken

    def replay(
        self, selects: Callable[[StoredLetter], bool], publish: Callable[[list[Change]], object]
    ) -> list[DeadLetter]:
        """Publish a forced change for each selected letter, then remove it; return those removed.

        A letter that names no document cannot be replayed and stays.
        """
        return self.take(
            lambda stored: change_of(stored.letter) is not None and selects(stored),
            lambda letter: _ignore(publish([change for change in [change_of(letter)] if change])),
        )

    def purge(self, key: str) -> int:
        """Remove every letter of the document `type/entry`; return how many there were."""
        return len(self.take(lambda stored: stored.letter.key == key, _ignore))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._io is None:
            work.close()
            raise BrokerUnavailable(redact(self._url), "the dead letters are not open")
        return self._io.run(work, timeout_s=CALL_TIMEOUT_S)

    @contextmanager
    def _reading(self) -> Iterator[LetterReader]:
        reader = LetterReader(self._url, self._run)
        try:
            self._run(reader.open())
            yield reader
        finally:
            self._run(reader.close())


def change_of(letter: DeadLetter) -> Change | None:
    """Return the forced change that makes the stream look again, or None where no document is named."""
    if letter.type is None or letter.entry is None:
        return None
    try:
        return Change(type=letter.type, entry=letter.entry, revision=letter.revision, force=True)
    except ValidationError:
        return None


async def _look(url: URL) -> QueueState | None:
    connection = await open_connection(url, name="twin dead letters")
    try:
        with translate_errors(url):
            return (await find_queues(connection, [DEAD_QUEUE])).get(DEAD_QUEUE)
    finally:
        await close_connection(connection)


def _ignore(_: object) -> None:
    return None
