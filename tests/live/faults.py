"""faults.py - which test sees which fault: tests/live/run --faults takes one protection out at a time, and that test has to fail.

In builds with failure points (configure --enable-failpoints) the daemon takes out the protection that CRMSYNCD_FAULT names; fault("NAME")
stands in the source where the protection does (src/base/fault.h).
"""
import collections

# patience: how many times as long as usual to wait, where much has to be moved before the test has its say.
Fault = collections.namedtuple("Fault", "mode name test patience", defaults=[1])

FAULTS = [Fault(*line) for line in (
    ("F01", "f01-acknowledges-up-to-the-largest",
     "test_late_commits.OneRound.test_f01_an_entry_that_commits_while_later_ones_are_in_work_is_not_acknowledged_with_them"),
    ("F02", "f02-everybody-has-committed-by-now", "test_late_commits.LateCommits.test_f02_with_poll"),
    ("F03", "f03-a-page-begins-behind-a-moment", "test_failure_modes.Polled.test_f03_equal_stamps_at_a_page_edge_are_all_taken"),
    ("F03", "f04-the-cursor-follows-any-stamp", "test_stamps.Unequal.test_f03_a_second_change_within_the_same_second_is_found"),
    ("F04", "f04-the-cursor-follows-any-stamp", "test_failure_modes.Polled.test_f04_a_row_from_2099_neither_wins_for_ever_nor_drags_the_cursor_along"),
    ("F04", "f04-stamps-of-the-future-stand", "test_stamps.Future.test_f04_a_stamp_of_the_future_is_cut_once_and_not_again_when_it_is_seen_again"),
    ("F05", "f05-a-sweep-looks-for-keys-only",
     "test_failure_modes.Polled.test_f02_f05_a_stamp_that_did_not_move_or_moved_back_or_is_null_hides_nothing_from_the_sweep"),
    ("F06", "f06-an-edit-may-be-older-than-what-it-changed",
     "test_failure_modes.Polled.test_f06_an_edit_made_on_top_of_another_wins_although_its_clock_is_behind"),
    ("F06", "f06-clocks-are-believed", "test_stamps.Wrong.test_f06_the_offset_of_a_clock_is_measured_shown_and_taken_off_its_stamps"),
    ("F06", "f06-ticks-are-not-made-equal", "test_stamps.Unequal.test_f06_of_two_edits_within_one_tick_of_the_coarser_clock_none_is_later"),
    ("F07", "f07-a-tie-keeps-who-was-first", "test_more_failure_modes.EqualStamps.test_f07_of_two_edits_of_one_moment_one_side_stands_in_all_fields"),
    ("F08", "f08-writes-what-is-there-already", "test_rows.Cleaning.test_f08_cleaned_values_travel_and_cause_no_second_write"),
    ("F09", "f09-reads-nothing-back", "test_failure_modes.Normalised.test_f09_what_the_target_makes_of_a_value_stays_there_and_is_quiet"),
    ("F10", "f10-whoever-deletes-wins", "test_rules.LastWriterWins.test_f10_an_edit_wins_over_a_later_delete"),
    ("F11", "f11-born-again-it-is-the-same-as-before", "test_failure_modes.Polled.test_f11_born_again_under_an_old_stamp_while_a_side_is_away_it_lives"),
    ("F12", "f12-the-dead-are-forgotten-at-once",
     "test_more_failure_modes.Away.test_f12_what_was_deleted_while_a_side_was_away_for_long_is_deleted_there_and_does_not_come_back"),
    ("F13", "f13-the-old-id-is-not-told", "test_more_failure_modes.LocalIds.test_f13_a_local_id_that_changes_takes_its_record_along"),
    ("F14", "f14-a-cycle-is-not-broken", "test_failure_modes.UniqueValues.test_f14_two_unique_values_swapped_are_swapped_everywhere"),
    ("F14", "f14-a-chain-is-tried-once", "test_failure_modes.NotNullUnique.test_f14_a_chain_is_applied_in_its_order"),
    ("F14", "f14-others-may-follow-a-null",
     "test_failure_modes.UniqueValues.test_f14_a_cycle_in_a_column_that_others_follow_is_parked_and_nothing_follows"),
    ("F15", "f15-who-waits-for-a-parent-is-not-told", "test_more_failure_modes.Trees.test_f15_a_deep_tree_comes_and_goes_as_a_whole"),
    ("F16", "f16-what-is-refused-counts-as-written", "test_failure_modes.UniqueValues.test_f16_a_value_that_another_row_keeps_is_parked_and_the_others_go_on"),
    ("F17", "f17-empty-means-null", "test_failure_modes.Polled.test_f17_null_and_empty_are_two_values_there_and_back"),
    ("F18", "f18-numbers-stay-as-they-are-written", "test_type_matrix.TypeMatrix.test_f18_each_value_travels_there_and_back_or_its_row_is_parked"),
    ("F19", "f19-keys-are-thought-to-compare-alike", "test_keys.Keys.test_f19_citext_beside_text_is_refused_with_words"),
    ("F20", "f09-reads-nothing-back", "test_more_failure_modes.Cut.test_f20_what_is_too_long_for_one_side_is_never_cut_at_the_other"),
    ("F21", "f21-the-log-is-not-measured",
     "test_more_failure_modes.Backlog.test_f21_a_change_log_that_is_not_drained_is_told_with_its_age_its_size_and_whose_it_is"),
    ("F22", "f22-a-lost-state-is-gone-on-with", "test_bad_days.RedisEmptied.test_f22_flushall_while_running"),
    ("F22", "f08-writes-what-is-there-already", "test_bad_days.RedisEmptied.test_f22_flushall_while_the_daemon_is_down"),
    ("F22", "f22-a-lost-state-is-gone-on-with", "test_bad_days.RedisEmptied.test_f22_redis_restarts_without_its_memory"),
    ("F22", "f22-epochs-are-not-compared", "test_put_back.Redis.test_f22_redis_put_back_to_an_older_dump_while_running"),
    ("F22", "f22-epochs-are-not-compared", "test_put_back.Redis.test_f22_redis_put_back_to_an_older_dump_while_the_daemon_was_down"),
    ("F22", "f22-keys-may-be-evicted", "test_bad_days.RedisRefused.test_f22_a_redis_that_may_evict_keys_is_refused_with_the_reason"),
    ("F23", "f23-a-bad-row-takes-its-batch-along", "test_rows.Parked.test_f23_a_value_that_is_too_long_parks_that_row_only_and_is_tried_again_when_it_changes"),
    ("F24", "f24-who-is-away-is-owed-nothing", "test_bad_days.UnderLoad.test_f24_restart_of_each_database", 6),
    ("F25", "f25-tables-stay-as-they-were", "test_failure_modes.Refusing.test_f25_a_renamed_column_stops_its_table_with_words_and_renamed_back_it_goes_on"),
    ("F26", "f26-waits-for-locks-without-end", "test_more_failure_modes.Locks.test_f26_a_lock_that_is_held_for_long_is_tried_again_and_again_and_parks_nothing"),
    ("F27", "f27-a-batch-has-all-rows", "test_more_failure_modes.Transactions.test_f27_one_transaction_of_many_rows_arrives_and_memory_stays_bounded", 6),
    ("F27", "f27-values-are-not-measured", "test_large.Values.test_f27_a_value_of_200_mb_is_parked_without_being_fetched", 6),
    ("F27", "f27-values-are-not-measured", "test_large.Values.test_f27_what_grows_to_it_at_the_other_side_is_left_there", 6),
    ("F27", "f27-batches-are-not-measured", "test_large.Batches.test_f27_many_large_rows_are_listed_captured_and_written_in_bounded_batches", 6),
    ("F28", "f23-a-bad-row-takes-its-batch-along", "test_rows.Parked.test_f28_a_constraint_of_one_side_stops_its_rows_only"),
    ("F29", "f29-acknowledges-what-it-has-read", "test_kill_matrix.KillMatrix.test_f29_killed_where_it_hurts_most_nothing_is_lost", 6),
    ("F30", "f30-what-was-not-answered-did-not-happen", "test_lost_replies.LostReplies.test_f30_an_edit_made_elsewhere_before_our_write_was_heard_of_is_later_than_it"),
    ("F31", "f31-writes-under-any-number", "test_one_writer.OneWriter.test_f31_a_write_under_an_older_number_is_refused_by_the_database"),
    ("F32", "f32-rows-may-be-hidden", "test_failure_modes.Refusing.test_f32_row_security_that_hides_rows_stops_the_table_and_deletes_nothing"),
    ("F33", "f33-silence-means-done", "test_failure_modes.Refusing.test_f33_a_trigger_that_swallows_the_write_parks_it_refused_silently"),
    ("F34", "f34-waits-where-it-stands", "test_more_failure_modes.Silent.test_f34_a_server_that_never_answers_delays_nobody_else"),
    ("F35", "f35-the-prepared-do-not-count", "test_late_commits.Prepared.test_f35_a_prepared_transaction_is_not_missed_with_poll"),
)]
# Modes against which no line of code stands that could be taken out, and why.
NONE = {}
