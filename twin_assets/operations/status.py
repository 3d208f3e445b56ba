"""How the twin is doing, at a glance: what answers, what runs, how much there is, how far behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import SecretStr

from twin_assets.broker.depth import queue_depths
from twin_assets.errors import ConfigurationError, GenerationMissing, ServerUnavailable
from twin_assets.models.change import seconds_of
from twin_assets.models.generation import alias_of
from twin_assets.models.kinds import DataType, Snapshot
from twin_assets.operations.freshness import NEVER, Freshness, read_freshness
from twin_assets.settings import Settings, without_credentials
from twin_assets.source.client import connect
from twin_assets.source.documents import DocumentSource
from twin_assets.source.meta import MetaStore
from twin_assets.store.glance import StoreGlance

LIMIT_S = 2.0
# Shorter, so that the reason for a failure comes before the limit.
MONGODB_LIMIT_S = 1.5
URLS = {"mongodb": "mongodb_url", "rabbitmq": "rabbitmq_url", "qdrant": "qdrant_url"}

Facts = dict[Any, Any]


def read_status(settings: Settings, runs: Callable[[], Mapping[str, Any]] | None = None) -> Facts:
    """Return what `twin status --json` prints; what a server that is down would know is None.

    `lag_s` is in seconds of MongoDB's time. `freshness` says how old documents were when they became
    searchable, now and in the last hour, and in its `note` who is behind. `problem` says why a server counts
    as down. All servers are asked at once, each for 2 s at most. `runs` says how each job is doing.
    """
    probes: dict[str, Callable[[], Any]] = {
        "mongodb": lambda: _ask_mongodb(settings),
        "rabbitmq": lambda: _ask_rabbitmq(settings),
        "qdrant": lambda: _ask_qdrant(settings),
    }
    if runs is not None:
        probes["runs"] = runs
    answers, problems = _gather(probes, limit_s=LIMIT_S)
    mongodb, rabbitmq, qdrant = (answers.get(name) or {} for name in URLS)
    return {
        "servers": {
            name: {
                "url": shown_url(getattr(settings, field)),
                "up": name in answers,
                "problem": problems.get(name),
            }
            for name, field in URLS.items()
        },
        "runs": dict(answers.get("runs") or {}),
        "collections": {
            data_type.value: {
                "source": mongodb.get(data_type),
                "cleaned": qdrant.get((data_type, "cleaned")),
                "vector_documents": qdrant.get((data_type, "vector_documents")),
                "chunks": qdrant.get((data_type, "chunks")),
            }
            for data_type in DataType
        },
        "lag_s": mongodb.get("lag_s"),
        "freshness": mongodb.get("freshness") or _freshness(Freshness()),
        "queued": rabbitmq.get("queued"),
        "dead_letters": rabbitmq.get("dead_letters"),
    }


def shown_url(url: SecretStr | None) -> str | None:
    """Return a server's URL without user, password and options."""
    return None if url is None else without_credentials(url.get_secret_value())


def _ask_mongodb(settings: Settings) -> Facts:
    url, dialect = settings.require_url("mongodb_url"), settings.mongodb_dialect
    with connect(url, dialect=dialect, timeout_s=MONGODB_LIMIT_S) as client:
        source = DocumentSource(client, settings.mongodb_database)
        facts: Facts = {data_type: source.count(data_type) for data_type in DataType}
        meta = MetaStore(client, settings.meta_database)
        watermark = meta.watermark(settings.rabbitmq_queues)
        if watermark is not None:
            facts["lag_s"] = max(0, seconds_of(source.now()) - seconds_of(watermark))
        fresh = read_freshness(meta, settings)
        note = NEVER if watermark is None else fresh.note(settings.lag_slo_s)
        facts["freshness"] = _freshness(fresh, note)
        return facts


def _freshness(found: Freshness, note: str = "") -> Facts:
    """Return all figures, those that nobody knows as None, and who is behind where somebody is."""
    names = ("age_s", "unpublished_s", "p50_s", "p95_s", "p99_s", "worst_s", "samples")
    return {**{name: getattr(found, name) for name in names}, "note": note}


def _ask_rabbitmq(settings: Settings) -> Facts:
    depths = queue_depths(settings.require_url("rabbitmq_url"), settings.rabbitmq_queues)
    return {"queued": depths.total, "dead_letters": depths.dead}


def _ask_qdrant(settings: Settings) -> Facts:
    with StoreGlance(settings, timeout_s=LIMIT_S) as store:
        store.check()
        facts: Facts = {}
        for data_type in DataType:
            cleaned, vector = alias_of(Snapshot.CLEANED, data_type), alias_of(Snapshot.VECTOR, data_type)
            with suppress(GenerationMissing):
                facts[data_type, "cleaned"] = store.count_documents(cleaned)
            with suppress(GenerationMissing):
                facts[data_type, "vector_documents"] = store.count_documents(vector)
                facts[data_type, "chunks"] = store.count_chunks(vector)
        return facts


def _gather(probes: Mapping[str, Callable[[], Any]], *, limit_s: float) -> tuple[Facts, dict[str, str]]:
    """Run all probes at once; return the answers, and why others have none in time."""
    answers: Facts = {}
    problems = dict.fromkeys(probes, f"no answer within {limit_s:g} s")
    done = {name: threading.Event() for name in probes}

    def ask(name: str) -> None:
        try:
            answers[name] = probes[name]()
        except (ServerUnavailable, ConfigurationError) as error:
            problems[name] = str(error)
        finally:
            done[name].set()

    # Daemons: a probe that hangs must not keep the process from ending.
    for name in probes:
        threading.Thread(target=ask, args=(name,), name=f"twin status {name}", daemon=True).start()
    end = time.monotonic() + limit_s
    for event in done.values():
        event.wait(max(0.0, end - time.monotonic()))
    answers = dict(answers)
    return answers, {name: problem for name, problem in problems.items() if name not in answers}
