"""What the installations hold that are backed up: all three types, and how much readers see of them."""

from __future__ import annotations

import os
from typing import Any

from twin_assets.operations.twin import Twin
from twin_assets_tests.scenarios.documents import article, post, repository, words
from twin_assets_tests.scenarios.operating.readers import ALIASES

POSTS = 30


def fill(documents: Any, *, posts: int = POSTS, attached_bytes: int = 0) -> None:
    """Write posts, an article and a repository; what is attached to a post is read by nobody."""
    documents.posts.insert_many(
        [
            post(number, words(30, prefix=f"p{number}x")) | {"attached": os.urandom(attached_bytes)}
            for number in range(posts)
        ]
    )
    documents.articles.insert_one(article("slug", words(30)))
    documents.repositories.insert_one(repository(2, {"src/a.py": "def f():\n    return 1\n"}))


def filled_with(*, posts: int = POSTS) -> dict[str, int]:
    """Return how many documents readers find then behind each name."""
    return {alias: posts if "posts" in alias else 1 for alias in ALIASES}


def statuses(twin: Twin) -> dict[str, str]:
    """Return the status of every generation, by its collection."""
    return {found.collection: found.status.value for found in twin.meta.generations()}


def chunks_seen(twin: Twin, *posts: int) -> int:
    """Return how many chunks these posts have, all documents where none is named."""
    if posts:
        return sum(len(twin.store.chunk_texts("vector_posts", f"int:{number}")) for number in posts)
    return sum(twin.store.count_chunks(alias) for alias in ALIASES if alias.startswith("vector_"))
