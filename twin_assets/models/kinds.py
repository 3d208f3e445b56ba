"""The kinds of documents and of what is made of them; they need no pydantic, so `twin --help` is quick."""

from __future__ import annotations

from enum import StrEnum


class DataType(StrEnum):
    """The kinds of documents, named as their MongoDB collections."""

    POSTS = "posts"
    ARTICLES = "articles"
    REPOSITORIES = "repositories"


class Snapshot(StrEnum):
    """The two things made of every data type in Qdrant."""

    CLEANED = "cleaned"
    VECTOR = "vector"
