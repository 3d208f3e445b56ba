"""Audits on DocumentDB as on MongoDB: the same tests."""

from twin_assets_tests.scenarios.test_audit import (  # noqa: F401 - tests, and their fixtures
    cleaned,
    command,
    filled,
    pytestmark,
    test_a_difference_amid_steady_writes_is_found,
    test_everything_that_hands_have_altered_is_named_counted_and_mended,
    test_the_command_looks_at_what_changed_since_the_last_time,
    vector,
)
