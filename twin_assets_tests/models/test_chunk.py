from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin_assets.models.chunk import head_point_id
from twin_assets.models.kinds import DataType
from twin_assets_tests.models.builders import FIELDS, chunk


@pytest.mark.parametrize("data_type", DataType)
def test_point_id_is_that_of_the_text_inside_its_document(data_type: DataType) -> None:
    moved = chunk(data_type, chunk_index=5, chunk_count=9, start=70, end=74)
    assert moved.point_id == chunk(data_type).point_id
    assert UUID(moved.point_id).version == 5


@pytest.mark.parametrize(
    "fields", [{"entry": "str:7"}, {"content": "texts"}, {"occurrence": 1}, {"recipe": "f" * 12}]
)
def test_point_id_differs_by_document_text_occurrence_and_recipe(fields: dict[str, str | int]) -> None:
    assert chunk(DataType.POSTS, **fields).point_id != chunk(DataType.POSTS).point_id


def test_equal_texts_of_two_types_are_two_points() -> None:
    assert len({chunk(data_type).point_id for data_type in DataType}) == len(DataType)


@pytest.mark.parametrize("data_type", DataType)
def test_payload_names_where_the_chunk_comes_from(data_type: DataType) -> None:
    payload = chunk(data_type, "oid:65f0").payload()
    assert payload["entry"] == "oid:65f0"
    assert payload["id"] == "65f0"
    assert payload["type"] == data_type.value
    assert FIELDS[data_type].items() <= payload.items()
    assert "occurrence" not in payload
    code_fields = {"path", "language", "start_line"}
    assert code_fields & payload.keys() == (code_fields if data_type is DataType.REPOSITORIES else set())


@settings(deadline=None)
@given(st.text(), st.text(alphabet=st.characters()))
def test_ids_take_any_text(key: str, content: str) -> None:
    UUID(head_point_id(key))
    UUID(head_point_id(f"{key}\ud800"))
    UUID(chunk(DataType.POSTS, f"str:{key[:900]}".replace("\n", "")).point_id)


def test_heads_of_one_document_are_one_point_everywhere() -> None:
    assert head_point_id("posts/int:7") == head_point_id("posts/int:7")
    assert len({head_point_id(key) for key in ("posts/int:7", "articles/int:7", "posts/str:7")}) == 3
