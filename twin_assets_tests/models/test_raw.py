from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from twin_assets.models.kinds import DataType
from twin_assets.models.raw import RAW_MODELS
from twin_assets_tests.models.builders import FIELDS, raw


def faults(data_type: DataType, **fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        raw(data_type, **fields)
    return [".".join(map(str, fault["loc"])) for fault in caught.value.errors()]


@pytest.mark.parametrize("data_type", DataType)
def test_every_type_has_a_model_that_knows_its_key(data_type: DataType) -> None:
    model = raw(data_type, "str:a:b")
    assert RAW_MODELS[data_type] is type(model)
    assert (model.key, model.id) == (f"{data_type}/str:a:b", "a:b")


@pytest.mark.parametrize("data_type", DataType)
def test_every_missing_field_is_named(data_type: DataType) -> None:
    with pytest.raises(ValidationError) as caught:
        RAW_MODELS[data_type].model_validate({})
    assert {fault["loc"][0] for fault in caught.value.errors()} == {"entry", "content", *FIELDS[data_type]}


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize("content", [None, {}, "text", ["text"], {1: "text"}])
def test_content_must_be_an_object_with_something_in_it(data_type: DataType, content: Any) -> None:
    assert faults(data_type, content=content)[0].startswith("content")


@pytest.mark.parametrize("entry", ["", "7", "float:1.5", "OID:1", "str:" + "x" * 1100])
def test_entry_must_name_a_known_kind_and_be_short(entry: str) -> None:
    assert faults(DataType.POSTS, entry=entry) == ["entry"]


def test_file_must_be_text_or_none() -> None:
    assert faults(DataType.REPOSITORIES, content={"a.py": None, "b.py": 7}) == ["content.b.py"]


@pytest.mark.parametrize(("person", "text"), [(7, "7"), (UUID(int=1), str(UUID(int=1))), ("x", "x")])
def test_ids_of_people_become_text(person: Any, text: str) -> None:
    assert dict(raw(DataType.POSTS, author_id=person))["author_id"] == text


@pytest.mark.parametrize("person", [True, None, 1.5, "", ["x"]])
def test_other_ids_of_people_are_refused(person: Any) -> None:
    assert faults(DataType.POSTS, author_id=person) == ["author_id"]


@pytest.mark.parametrize("data_type", DataType)
def test_models_are_immutable(data_type: DataType) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        raw(data_type).entry = "int:8"


@pytest.mark.parametrize("data_type", DataType)
def test_source_hash_ignores_unrelated_fields_the_key_and_the_order_of_fields(data_type: DataType) -> None:
    fields = {
        "content": {"a.py": "x = 1", "b.py": "y = 2"},
        **FIELDS[data_type],
        "entry": "int:8",
        "views": 3,
    }
    turned = RAW_MODELS[data_type].model_validate(dict(reversed(fields.items())))
    assert turned.source_hash == raw(data_type).source_hash


@pytest.mark.parametrize("data_type", DataType)
@pytest.mark.parametrize(
    "content", [{"a.py": "x = 1"}, {"a.py": "x = 1", "b.py": "y = 3"}, {"b.py": "y = 2", "a.py": "x = 1"}]
)
def test_source_hash_changes_with_the_content_and_its_order(
    data_type: DataType, content: dict[str, str]
) -> None:
    assert raw(data_type, content=content).source_hash != raw(data_type).source_hash


@pytest.mark.parametrize("data_type", DataType)
def test_source_hash_changes_with_every_modelled_field(data_type: DataType) -> None:
    hashes = {raw(data_type, **{name: "https://example.org/other"}).source_hash for name in FIELDS[data_type]}
    assert len(hashes - {raw(data_type).source_hash}) == len(FIELDS[data_type])


def test_source_hash_sees_the_order_of_nested_texts() -> None:
    one = raw(DataType.POSTS, content={"parts": {"a": "first", "b": "second"}})
    two = raw(DataType.POSTS, content={"parts": {"b": "second", "a": "first"}})
    assert one.source_hash != two.source_hash


def test_source_hash_takes_every_kind_of_value() -> None:
    content = {
        "at": datetime(2024, 1, 1, tzinfo=UTC),
        "n": 1,
        "f": 0.5,
        "none": None,
        "nan": float("nan"),
        "l": [{}],
    }
    assert len(raw(DataType.ARTICLES, content=content).source_hash) == 64
