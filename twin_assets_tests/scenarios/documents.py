"""Raw documents as people's programs write them into MongoDB."""

from __future__ import annotations

from typing import Any


def post(number: Any, text: str) -> dict[str, Any]:
    return {"_id": number, "platform": "p", "author_id": "a", "content": {"text": text}}


def article(number: Any, text: str) -> dict[str, Any]:
    return {
        "_id": number,
        "platform": "p",
        "link": f"https://example.org/{number}",
        "author_id": "a",
        "content": {"title": "Title", "text": text},
    }


def repository(number: Any, files: dict[str, str]) -> dict[str, Any]:
    link = f"https://example.org/{number}"
    return {"_id": number, "name": f"r{number}", "link": link, "owner_id": "o", "content": files}


def words(count: int, *, prefix: str = "word") -> str:
    return " ".join(f"{prefix}{number}" for number in range(count))
