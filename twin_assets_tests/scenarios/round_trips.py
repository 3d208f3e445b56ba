"""How many requests the servers have answered, by their own count: what nobody meant to ask shows here."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import httpx

from twin_assets.operations.twin import Twin
from twin_assets_tests.waiting import wait_until

SESSION_JOBS = ("lastSessionsCollectionJobTimestamp", "lastTransactionReaperJobTimestamp")
SESSION_PAUSE, JUST_BEGUN, SOON = timedelta(minutes=5), timedelta(seconds=2), timedelta(seconds=20)

# What drivers and the servers' own members do all the time is nobody's request.
MONGODB_WORK = ("find", "aggregate", "getMore", "insert", "update", "delete", "findAndModify", "bulkWrite")
ANSWERED = re.compile(
    r'^rest_responses_total\{method="(\w+)",endpoint="(/collections/[^"]+)",.*\} (\d+)$', re.MULTILINE
)


def await_quiet(twin: Twin) -> None:
    """Wait until MongoDB, which sees to its sessions every five minutes, is at rest for a while."""

    def is_quiet() -> bool:
        status = twin.source.client.admin.command("serverStatus")
        cache, now = status["logicalSessionRecordCache"], status["localTime"]
        looked = [cache[name] for name in SESSION_JOBS]
        return all(JUST_BEGUN <= now - each <= SESSION_PAUSE - SOON for each in looked)

    wait_until(is_quiet, what="MongoDB is done with its sessions", limit_s=90)


def requests_answered(twin: Twin) -> Counter[str]:
    """Return the requests for documents and points since the servers' start, by what was asked."""
    commands = twin.source.client.admin.command("serverStatus")["metrics"]["commands"]
    found = Counter(
        {f"mongodb {name}": int(commands[name]["total"]) for name in MONGODB_WORK if name in commands}
    )
    metrics = httpx.get(f"{twin.settings.require_url('qdrant_url')}/metrics").raise_for_status().text
    for method, endpoint, count in ANSWERED.findall(metrics):
        found[f"qdrant {method} {endpoint}"] += int(count)
    return found
