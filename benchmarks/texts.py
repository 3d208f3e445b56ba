"""Real text that every installation has: the long descriptions of its Python packages."""

from __future__ import annotations

from importlib.metadata import distributions
from typing import Any

ENOUGH = 2_000
AT_MOST = 12_000


def articles(count: int, *, prefix: str) -> list[dict[str, Any]]:
    """Return `count` distinct articles of 2,000 to 12,000 characters, in a stable order."""
    texts = sorted(
        {
            text[:AT_MOST]
            for found in distributions()
            if len(text := str(found.metadata.get_payload())) > ENOUGH
        }
    )
    return [
        {
            "_id": f"{prefix}-{number}",
            "platform": "bench",
            "link": f"bench:{number}",
            "author_id": "bench",
            "content": {"text": f"{prefix} {number}\n\n{texts[number % len(texts)]}"},
        }
        for number in range(count)
    ]
