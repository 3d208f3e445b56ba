"""The proof of the write protocol: every order of its effects on one document, by the package's own steps."""

from __future__ import annotations

import pytest

from twin_assets_tests.protocol.broken import RULES
from twin_assets_tests.protocol.explore import Case, Exploration, Machine
from twin_assets_tests.protocol.programs import rebuild, rebuild_of_documentdb, stream, stream_of_documentdb

QUICK = [
    Case(("a b", "a c"), 0),
    Case(("a b", None), 0, crashes=1),
    Case(("b", "a b"), 0),
    Case(("a b", "b"), 0),
    Case(("a", "b"), 0, has_cleaned=True),
    Case(("a b", "a c"), None, crashes=2),
    Case(("a", "b"), None, has_rebuild=True),
    Case(("a", None), None, has_rebuild=True),
    Case(("a b", "!"), 0),
    Case(("a", "!", "b"), 0),
]
THOROUGH = [
    Case(("a b", "a c"), 0, crashes=1),
    Case(("a b", "b"), 0, crashes=1),
    Case(("a", "b", "a"), 0),
    Case(("a", "b", "a"), 1, crashes=1),
    Case(("a", None, "b"), 0),
    Case(("a", "b", None), 1),
    Case(("a b", "!"), 0, crashes=1),
    Case(("!", "a b"), 0, crashes=1),
    Case(("a", "!", None), 0),
    Case(("a b", "a c"), None, crashes=1, has_rebuild=True),
]
# A stream, a zombie and a rebuild at once have more states than 24 GB hold.
VAST = [
    Case(("a", "b"), 0, has_rebuild=True),
    Case(("a b", "b"), 0, has_rebuild=True),
    Case(("a", None), 0, has_rebuild=True),
    Case(("a", "!"), 0, has_rebuild=True),
    Case(("a b", "a c", "a b"), 1, crashes=1, has_rebuild=True),
]
WALKS = 20_000
OF_DOCUMENTDB = [
    Case(("a b", "a c"), 0),
    Case(("a b", None), 0, crashes=1),
    Case(("a", "b"), None, has_rebuild=True),
    Case(("a", None), None, has_rebuild=True),
    Case(("a", "!", "b"), 0),
]


@pytest.fixture(scope="module")
def machine() -> Machine:
    """One for all cases: what one has worked out serves the next."""
    return Machine()


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_every_order_ends_right_and_shows_no_reader_an_empty_document(case, machine):
    found = Exploration(case, machine).run()
    assert found.are_clean, found


@pytest.fixture(scope="module")
def moments() -> Machine:
    """One for all cases of DocumentDB, whose clock no commit moves."""
    return Machine(stream=stream_of_documentdb, rebuild=rebuild_of_documentdb, has_moments=True)


@pytest.mark.parametrize("case", OF_DOCUMENTDB, ids=str)
def test_every_order_ends_right_by_a_clock_that_commits_do_not_move(case, moments):
    found = Exploration(case, moments).run()
    assert found.are_clean, found


def test_a_read_of_documentdb_that_waits_for_no_later_moment_ends_wrong():
    hasty = Machine(stream=stream, rebuild=rebuild, has_moments=True)
    found = Exploration(Case(("a b", "a c"), 0), hasty).run(stop_at_first=True)
    assert found.wrong_ends


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", THOROUGH, ids=str)
def test_every_order_of_more_ends_right(case, machine):
    found = Exploration(case, machine).run()
    assert found.are_clean, found


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", VAST, ids=str)
def test_orders_by_chance_of_most_end_right(case, machine):
    found = Exploration(case, machine).walk(WALKS)
    assert found.are_clean, found


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_without_one_rule_some_order_ends_wrong(rule, monkeypatch):
    switch_off, case = RULES[rule]
    switch_off(monkeypatch)
    found = Exploration(case, Machine()).run(stop_at_first=True)
    assert found.wrong_ends or found.empty_reads, f"{rule} was never needed in {found.states} states"


def test_an_acknowledgement_before_the_write_loses_a_change():
    case = Case(("a", "b"), None, crashes=1)
    found = Exploration(case, Machine(), acknowledges_first=True).run(stop_at_first=True)
    assert found.wrong_ends
