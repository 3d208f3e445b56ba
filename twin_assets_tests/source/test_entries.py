"""Entries are reversible and tell kinds apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin_assets.errors import UnsupportedId
from twin_assets.models.base import ENTRY_MAX_LENGTH
from twin_assets.source.entries import describe_id, entries_meant_by, entry_of, id_of
from twin_assets_tests.source.builders import IDS_AND_ENTRIES, UNSUPPORTED_IDS


@pytest.mark.parametrize(("document_id", "entry"), IDS_AND_ENTRIES)
def test_every_supported_kind_of_id_goes_there_and_back(document_id: Any, entry: str) -> None:
    assert entry_of(document_id) == entry
    assert id_of(entry) == document_id
    assert isinstance(document_id, type(id_of(entry)))


@given(st.integers(-(2**63), 2**63 - 1) | st.text(max_size=500) | st.uuids())
def test_ids_go_there_and_back(document_id: object) -> None:
    try:
        entry = entry_of(document_id)
    except UnsupportedId:
        assert "\ufffd" in str(document_id)
    else:
        assert id_of(entry) == document_id


@pytest.mark.parametrize("document_id", [*UNSUPPORTED_IDS, None, "broken \ufffd", ["a"]])
def test_other_kinds_of_ids_are_refused(document_id: object) -> None:
    with pytest.raises(UnsupportedId):
        entry_of(document_id)


def test_longest_text_id_fits_exactly() -> None:
    assert len(entry_of("x" * (ENTRY_MAX_LENGTH - 4))) == ENTRY_MAX_LENGTH


@pytest.mark.parametrize("entry", ["", "oid:zz", "uuid:1", "int:x", "int:9223372036854775808", "float:1"])
def test_an_entry_that_no_id_was_made_of_is_refused(entry: str) -> None:
    with pytest.raises(UnsupportedId):
        id_of(entry)


def test_a_long_id_is_described_in_one_short_line() -> None:
    assert len(describe_id("x\n" * 1000)) == 80
    assert "\n" not in describe_id("x\ny")


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("int:7", ["int:7"]),
        ("str:int:7", ["str:int:7"]),
        ("7", ["int:7", "str:7"]),
        ("-7", ["int:-7", "str:-7"]),
        ("007", ["str:007"]),
        ("a-slug", ["str:a-slug"]),
        ("int:x", ["str:int:x"]),
        ("65F0A1B2C3D4E5F6A7B8C9D0", ["oid:65f0a1b2c3d4e5f6a7b8c9d0", "str:65F0A1B2C3D4E5F6A7B8C9D0"]),
        (
            "12345678-1234-5678-1234-567812345678",
            ["uuid:12345678-1234-5678-1234-567812345678", "str:12345678-1234-5678-1234-567812345678"],
        ),
        ("x" * 2000, []),
    ],
)
def test_a_plain_id_may_be_of_several_kinds(text: str, entries: list[str]) -> None:
    assert entries_meant_by(text) == entries
