from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from twin_assets.models.change import Change, Hint, revision_of, seconds_of
from twin_assets.models.kinds import DataType

TIMES = st.integers(0, 2**32 - 1)
INCREMENTS = st.integers(0, 2**20 - 1)


@given(TIMES, INCREMENTS, TIMES, INCREMENTS)
def test_revisions_order_as_cluster_times_do(
    time: int, increment: int, other: int, other_increment: int
) -> None:
    one, two = revision_of(time, increment), revision_of(other, other_increment)
    assert (one < two) == ((time, increment) < (other, other_increment))
    assert seconds_of(one) == time


@given(TIMES, INCREMENTS)
def test_revision_is_exact_as_a_float64(time: int, increment: int) -> None:
    revision = revision_of(time, increment)
    assert int(float(revision)) == revision


@pytest.mark.parametrize("increment", [-1, 2**20])
def test_increment_that_does_not_fit_is_refused(increment: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        revision_of(1, increment)


def test_change_names_its_document_and_hints_an_upsert() -> None:
    change = Change(type=DataType.POSTS, entry="int:7", revision=1)
    assert (change.key, change.hint, change.force) == ("posts/int:7", Hint.UPSERT, False)


@pytest.mark.parametrize(
    "wrong", [{"type": "songs"}, {"entry": "7"}, {"revision": "soon"}, {"hint": "maybe"}]
)
def test_wrong_field_of_a_change_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        Change.model_validate({"type": "posts", "entry": "int:7", "revision": 1} | wrong)
    assert [fault["loc"][0] for fault in caught.value.errors()] == list(wrong)
