"""The promises to users hold on DocumentDB as on MongoDB: the same tests."""

from twin_assets_tests.scenarios.test_promises import (  # noqa: F401 - tests
    pytestmark,
    test_a_crash_in_mid_batch_is_made_good_by_redelivery,
    test_a_reader_never_sees_a_shrinking_document_without_chunks,
    test_all_three_types_arrive_and_updates_shorten_and_deletes_remove,
    test_capture_goes_on_where_it_stopped,
    test_changes_delivered_twice_late_and_out_of_order_change_nothing,
    test_no_text_is_left_after_a_delete,
    test_poison_goes_to_the_dead_letters_and_its_neighbours_go_on,
    test_unchanged_text_is_not_embedded_again,
)
