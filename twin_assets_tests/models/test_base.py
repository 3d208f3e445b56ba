from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.models.base import document_key, plain_id, stable_hash, text_hash
from twin_assets.models.kinds import DataType

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("entry", "plain"), [("oid:65f0", "65f0"), ("str:a:b", "a:b"), ("int:-7", "-7"), ("str:", "")]
)
def test_plain_id_is_the_entry_without_its_kind(entry: str, plain: str) -> None:
    assert plain_id(entry) == plain


def test_document_key_has_the_name_of_the_collection() -> None:
    assert [document_key(data_type, "int:7") for data_type in DataType] == [
        "posts/int:7",
        "articles/int:7",
        "repositories/int:7",
    ]


@given(st.dictionaries(st.text(), JSON))
def test_stable_hash_ignores_the_order_of_keys(value: dict[str, object]) -> None:
    assert stable_hash(dict(reversed(value.items()))) == stable_hash(value)


def test_stable_hash_sees_the_order_of_lists_and_the_kind_of_values() -> None:
    assert len({stable_hash(value) for value in ([1, 2], [2, 1], ["1", 2], {"1": 2}, None)}) == 5


@given(st.text(alphabet=st.characters()))
def test_text_hash_takes_any_text(text: str) -> None:
    assert len(text_hash(text)) == 64
    assert text_hash(text + "\ud800") != text_hash(text)
