"""Rebuilds and ways back on DocumentDB as on MongoDB: the same tests."""

from twin_assets_tests.scenarios.test_generations import (  # noqa: F401 - tests, and their fixture
    in_sync,
    test_a_rollback_shows_the_standby_which_has_been_fed_and_a_second_one_goes_back,
    test_generations_are_listed_and_only_those_that_nobody_reads_can_be_dropped,
)
from twin_assets_tests.scenarios.test_rebuild import (  # noqa: F401 - tests
    pytestmark,
    test_a_rebuild_makes_point_by_point_what_the_stream_made,
    test_a_stopped_rebuild_is_taken_up_again,
    test_text_for_vectors_comes_from_the_cleaned_snapshot,
    test_the_old_generation_stays_fed_as_a_standby,
    test_writes_during_a_rebuild_reach_both_generations,
)
