"""How many requests the servers have answered, by their own count: what nobody meant to ask shows here."""

from __future__ import annotations

import re
from collections import Counter

import httpx

from twin_assets.operations.twin import Twin

# What drivers and the servers' own members do all the time is nobody's request.
MONGODB_WORK = ("find", "aggregate", "getMore", "insert", "update", "delete", "findAndModify", "bulkWrite")
ANSWERED = re.compile(
    r'^rest_responses_total\{method="(\w+)",endpoint="(/collections/[^"]+)",.*\} (\d+)$', re.MULTILINE
)


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
