"""Pages of points that one request can carry."""

from __future__ import annotations

from qdrant_client import models as q

from twin_assets.store.points import PAGE_CHARACTERS, pages_of


def point(number: int, characters: int) -> q.PointStruct:
    return q.PointStruct(id=number, vector={}, payload={"cleaned_content": "x" * characters})


def test_many_points_are_cut_by_number_and_large_ones_by_size() -> None:
    small, large = [point(number, 10) for number in range(5)], point(5, PAGE_CHARACTERS)
    pages = [[found.id for found in page] for page in pages_of([*small, large, large, point(6, 1)], 3)]
    assert pages == [[0, 1, 2], [3, 4], [5], [5], [6]]


def test_the_files_of_a_repository_count_as_well() -> None:
    files = [{"path": "p" * 100, "start": 0, "end": 1}] * (PAGE_CHARACTERS // 200)
    repository = q.PointStruct(id=1, vector={}, payload={"files": files})
    assert [len(page) for page in pages_of([repository] * 4, 10)] == [1] * 4


def test_no_points_are_no_page() -> None:
    assert list(pages_of([], 10)) == []
