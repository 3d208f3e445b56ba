"""A thread with an asyncio loop of its own, so that network work goes on whatever the callers do."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from twin_assets.errors import BrokerUnavailable

GRACE_S = 2.0

T = TypeVar("T")
logger = logging.getLogger(__name__)


class IoThread:
    """Runs coroutines for other threads. Whoever made it closes it; it never keeps a process alive."""

    def __init__(self, name: str, *, where: str) -> None:
        self._name = name
        self._where = where
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_quietly)
        self._lock = threading.Lock()
        self._closed = False
        self._ended = threading.Event()
        threading.Thread(target=self._main, name=name, daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
        """Run to the end and return the result. Raises BrokerUnavailable after `timeout_s` or when closed."""
        with self._lock:
            if self._closed:
                work.close()
                raise BrokerUnavailable(self._where, f"{self._name} is closed")
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except CancelledError:
            raise BrokerUnavailable(self._where, f"{self._name} was closed meanwhile") from None
        except TimeoutError:
            future.cancel()
            raise BrokerUnavailable(self._where, f"no answer within {timeout_s:g} s") from None

    def post(self, callback: Callable[..., object], *args: object) -> None:
        """Call soon, in the order of posting; does nothing after close."""
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(callback, *args)

    def close(self) -> None:
        """Cancel what still runs and end the thread, within twice GRACE_S."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop)
        # Not join: an interrupted join marks a living thread as ended on Python 3.11.
        if not self._ended.wait(2 * GRACE_S):
            logger.warning("%s did not end within %g s and is left behind", self._name, 2 * GRACE_S)

    def _main(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
            self._ended.set()

    async def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        self._loop.stop()


def _log_quietly(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # What matters to a caller reaches it as an exception; the rest is the client's own cleaning up.
    logger.debug("%s", context.get("message"), exc_info=context.get("exception"))
