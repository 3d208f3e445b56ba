from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.errors import DocumentRejected
from twin_assets.models.kinds import DataType
from twin_assets.processing.dispatch import RawDispatcher
from twin_assets_tests.processing.builders import PROSE, document
from twin_assets_tests.processing.strategies import any_texts, patiently

SECRET = "what nobody may read"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | any_texts
    | st.binary(max_size=8)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_texts, inner, max_size=3),
    max_leaves=8,
)


def rejection(data_type: DataType, found: Any) -> DocumentRejected:
    with pytest.raises(DocumentRejected) as caught:
        RawDispatcher.dispatch(data_type, "int:7", found)
    assert caught.value.stage == "validating"
    assert caught.value.key == f"{data_type}/int:7"
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("data_type", DataType)
def test_document_of_the_course_passes_and_unknown_fields_are_ignored(data_type: DataType) -> None:
    plain = RawDispatcher.dispatch(data_type, "oid:0", document(data_type))
    extended = RawDispatcher.dispatch(
        data_type, "oid:0", document(data_type, views=3, blob=b"\xff", _x=object())
    )
    assert plain == extended
    assert plain.source_hash == extended.source_hash


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize(
    "found", [{}, {"content": {}}, {"content": SECRET}, {"content": None}, {"content": [SECRET]}]
)
def test_wrong_content_is_named_with_its_entry(data_type: DataType, found: dict[str, Any]) -> None:
    without = {name: value for name, value in document(data_type).items() if name != "content"}
    error = rejection(data_type, without | found)
    assert error.reason.startswith("content: ")
    assert f"{data_type}/int:7" in str(error)


@pytest.mark.parametrize("data_type", PROSE)
def test_every_wrong_field_is_named(data_type: DataType) -> None:
    error = rejection(
        data_type, document(data_type, {"a": SECRET}, platform=7, author_id=[SECRET], image=1.5)
    )
    assert [part.split(":")[0] for part in error.reason.split("; ")] == ["platform", "author_id", "image"]


def test_repository_file_that_is_no_text_is_named() -> None:
    error = rejection(DataType.REPOSITORIES, document(DataType.REPOSITORIES, {"src/a.py": {"x": SECRET}}))
    assert error.reason == "content.src/a.py: Input should be a valid string"


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize("value", [SECRET.encode(), object(), 1j])
def test_value_that_is_no_text_is_named(data_type: DataType, value: Any) -> None:
    error = rejection(data_type, document(data_type, {"body": value}))
    assert error.reason == f"content.body: {type(value).__name__} cannot become text"


def test_bytes_deep_inside_are_named() -> None:
    error = rejection(DataType.POSTS, document(DataType.POSTS, {"parts": [{"a": "x"}, {"b": b"\xff"}]}))
    assert error.reason == "content.parts.1.b: bytes cannot become text"


def test_endless_nesting_is_a_rejection() -> None:
    nested: Any = SECRET
    for _ in range(5000):
        nested = [nested]
    assert "nested deeper" in rejection(DataType.POSTS, document(DataType.POSTS, {"deep": nested})).reason


@pytest.mark.parametrize("found", [None, 7, "text", [1]])
def test_what_is_no_document_is_a_rejection(found: Any) -> None:
    rejection(DataType.POSTS, found)


@pytest.mark.parametrize("entry", ["7", "float:7", "int:" + "7" * 2000])
def test_wrong_entry_is_a_rejection(entry: str) -> None:
    with pytest.raises(DocumentRejected, match="entry: "):
        RawDispatcher.dispatch(DataType.POSTS, entry, document(DataType.POSTS))


def test_lone_surrogates_go_from_every_field() -> None:
    found = document(DataType.POSTS, {"a\ud800": ["x\udfff"]}, platform="p\ud800", author_id="a\udc00")
    raw = RawDispatcher.dispatch(DataType.POSTS, "int:7", found)
    assert raw.model_dump(exclude={"link", "image"}) == {
        "entry": "int:7",
        "platform": "p",
        "author_id": "a",
        "content": {"a": ["x"]},
    }


def test_paths_that_are_equal_without_surrogates_lose_no_file() -> None:
    content = {"a.py": "1", "a.py\ud800": "2"}
    error = rejection(DataType.REPOSITORIES, document(DataType.REPOSITORIES, content))
    assert "two keys are equal" in error.reason


@pytest.mark.parametrize("person", [7, UUID(int=1), "x"])
def test_ids_of_people_become_text(person: Any) -> None:
    raw = RawDispatcher.dispatch(
        DataType.REPOSITORIES, "int:7", document(DataType.REPOSITORIES, owner_id=person)
    )
    assert dict(raw)["owner_id"] == str(person)


def test_rejection_carries_no_text_even_in_its_traceback() -> None:
    error = rejection(DataType.ARTICLES, document(DataType.ARTICLES, SECRET))
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert "validate" in shown


@patiently
@given(st.sampled_from(DataType), st.dictionaries(any_texts, VALUES, max_size=4))
def test_any_content_passes_or_is_rejected(data_type: DataType, content: dict[str, Any]) -> None:
    found = document(data_type, content, date=datetime(2024, 1, 1, tzinfo=UTC))
    try:
        raw = RawDispatcher.dispatch(data_type, "int:7", found)
    except DocumentRejected as error:
        error.reason.encode()
    else:
        assert len(raw.source_hash) == 64
