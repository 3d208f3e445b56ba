"""Servers that nobody runs, with secrets in their settings, and what of those somebody may have said."""

from __future__ import annotations

import traceback

from twin_assets_tests.security.servers import QUOTED_PASSWORD

WORDS = ("s3cret", "w0rd", "k3y", "0ption")  # parts of the secrets below, however they are encoded
NOWHERE = {
    "mongodb_url": f"mongodb://user:{QUOTED_PASSWORD}@127.0.0.1:1/?replicaSet=r&appName=0ption",
    "rabbitmq_url": f"amqp://user:{QUOTED_PASSWORD}@127.0.0.1:1/twin?name=0ption",
    "qdrant_url": f"https://user:{QUOTED_PASSWORD}@127.0.0.1:1?x=0ption",
    "qdrant_api_key": "k3y",
    "dagster_url": f"http://user:{QUOTED_PASSWORD}@127.0.0.1:1",
}
URLS = [name for name in NOWHERE if name.endswith("_url")]


def leaks_in(text: str) -> list[str]:
    return [word for word in WORDS if word in text]


def all_that_is_said(error: BaseException) -> str:
    """What a person, a log and a run's page may show of an error, its causes included."""
    return "\n".join([str(error), repr(error), *traceback.format_exception(error)])
