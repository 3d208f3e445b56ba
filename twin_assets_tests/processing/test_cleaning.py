from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.errors import DocumentRejected
from twin_assets.models.kinds import DataType
from twin_assets.models.recipe import CleanedRecipe
from twin_assets.processing.cleaning import LARGEST_CLEANED_BYTES
from twin_assets.processing.dispatch import CleaningDispatcher, RawDispatcher
from twin_assets_tests.processing.builders import ORIGINS, PROSE, cleaned, document
from twin_assets_tests.processing.strategies import any_texts, patiently


@pytest.mark.parametrize("data_type", PROSE)
def test_nested_content_is_flattened_in_order(data_type: DataType) -> None:
    content: dict[str, Any] = {
        "Title": "First",
        "none": None,
        "parts": ["second", {"b": "third", "a": ["fourth", None]}],
        "count": 5,
        "share": 0.5,
        "flag": True,
        "at": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "day": date(2024, 5, 2),
    }
    texts = [
        "First",
        "second",
        "third",
        "fourth",
        "5",
        "0.5",
        "true",
        "2024-05-01T12:00:00+00:00",
        "2024-05-02",
    ]
    assert cleaned(data_type, content).cleaned_content == "\n\n".join(texts)


@pytest.mark.parametrize("data_type", DataType)
def test_origin_and_source_hash_are_carried_along(data_type: DataType) -> None:
    raw = RawDispatcher.dispatch(data_type, "int:7", document(data_type))
    result = CleaningDispatcher(CleanedRecipe()).dispatch(raw)
    assert result.source_hash == raw.source_hash
    assert result.entry == "int:7"
    assert {name: value for name, value in result.origin().items() if value} == ORIGINS[data_type]


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize("text", ["", " \n\t", "\0\ud800", None])
def test_document_without_text_is_rejected(data_type: DataType, text: str | None) -> None:
    with pytest.raises(DocumentRejected, match="no text is left after cleaning") as caught:
        cleaned(data_type, {"a": text, "b": text})
    assert (caught.value.stage, caught.value.key) == ("cleaning", f"{data_type}/int:7")


@pytest.mark.parametrize("text", ["🚀🚀", "\u200b"])
def test_post_of_emoji_alone_is_rejected(text: str) -> None:
    with pytest.raises(DocumentRejected, match="no text is left"):
        cleaned(DataType.POSTS, {"a": text})


def test_repository_names_the_slice_of_every_file() -> None:
    content = {"b.py": "x = 1\r\n", "none.bin": None, "empty.py": "", "a/c.md": "# 🚀 “T”\0"}
    result = cleaned(DataType.REPOSITORIES, content)
    files = {file.path: result.cleaned_content[file.start : file.end] for file in result.files}
    assert files == {"b.py": "x = 1\n", "empty.py": "", "a/c.md": "# 🚀 “T”"}


def test_ascii_only_is_for_prose() -> None:
    recipe = CleanedRecipe(ascii_only=True)
    texts = [
        CleaningDispatcher(recipe).dispatch(
            RawDispatcher.dispatch(data_type, "int:7", document(data_type, {"a.py": "naïve"}))
        )
        for data_type in (DataType.POSTS, DataType.REPOSITORIES)
    ]
    assert [text.cleaned_content for text in texts] == ["nave", "naïve"]


@patiently
@given(st.sampled_from(DataType), st.dictionaries(any_texts, any_texts, min_size=1, max_size=4))
def test_any_texts_are_cleaned_or_rejected(data_type: DataType, content: dict[str, str]) -> None:
    try:
        result = cleaned(data_type, content)
    except DocumentRejected:
        return
    result.model_dump_json()


def test_more_than_the_store_takes_in_one_request_is_rejected() -> None:
    control = "\x01" * (LARGEST_CLEANED_BYTES // 6)  # six bytes each as JSON
    with pytest.raises(DocumentRejected, match="split the document"):
        cleaned(DataType.REPOSITORIES, {"a.bin": control})
