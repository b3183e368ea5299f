//! The laws of a store, one function each, run against every store. A law that only one store can break
//! (crashes, files, locks) is tested beside that store.

mod aliases;
mod artifacts;
mod batch_files;
mod batch_lines;
mod batches;
mod branches;
mod bundles;
mod conversations;
mod diagnostics;
mod events;
mod files;
mod hints;
mod idempotency;
mod keys;
mod merges;
mod prompts;
mod purge;
mod responses;
mod sessions;
mod snapshots;
mod tenancy;
mod usage;
mod world;

pub(in crate::store) use batches::{
    only_the_second_ends, only_the_second_is_claimed, two_answered, two_started,
};
pub(in crate::store) use conversations::{open as conversation, say};
pub(in crate::store) use responses::native;
pub(crate) use usage::event as usage_event;
pub(in crate::store) use world::{World, fresh};

/// One test for each law and store.
macro_rules! laws {
    ($($subject:ident: $($law:ident),+;)+) => {
        mod memory {$($(
            #[tokio::test]
            async fn $law() {
                super::$subject::$law(super::World::memory().await).await;
            }
        )+)+}

        mod sqlite {$($(
            #[tokio::test]
            async fn $law() {
                super::$subject::$law(super::World::sqlite().await).await;
            }
        )+)+}

        mod postgres {$($(
            #[tokio::test]
            async fn $law() {
                if let Some(world) = super::World::postgres().await {
                    super::$subject::$law(world).await;
                }
            }
        )+)+}
    };
}

laws! {
    keys:
        a_key_is_known_until_it_is_revoked,
        a_key_that_is_registered_again_stays_as_it_is,
        a_revoked_key_that_is_registered_again_stays_revoked,
        a_key_of_another_project_is_refused,
        projects_are_made_once_by_name;
    idempotency:
        a_repeat_gives_the_same_bytes_and_changes_nothing,
        a_repeat_is_answered_before_any_check,
        a_key_with_another_request_is_refused,
        a_key_counts_for_one_path_of_one_project,
        a_refused_write_leaves_its_key_free,
        an_answer_is_forgotten_after_a_day,
        twins_have_one_effect,
        what_was_made_without_the_store_is_kept_once,
        a_reserved_key_is_in_flight_until_it_is_released,
        a_lease_runs_out_unless_it_is_renewed,
        a_lost_lease_commits_nothing,
        a_committed_generation_is_replayed;
    artifacts:
        an_artifact_is_shown_without_its_content,
        artifacts_are_listed_oldest_first,
        a_deleted_artifact_is_gone_and_cannot_be_referenced,
        an_ephemeral_artifact_goes_after_a_day;
    bundles:
        a_bundle_keeps_its_items_as_they_were_given,
        a_bundle_of_a_missing_artifact_names_the_item,
        a_deleted_bundle_is_gone_but_sessions_still_list_it;
    sessions:
        a_session_begins_with_an_empty_root_branch,
        a_session_of_a_missing_bundle_names_it,
        a_session_is_archived_and_made_active_again,
        an_archived_session_takes_no_writes,
        a_deleted_session_takes_everything_with_it;
    branches:
        a_fork_shares_the_history_up_to_its_point,
        a_fork_of_an_empty_branch_is_empty,
        a_fork_needs_a_branch_and_an_event_of_its_session,
        branches_are_listed_oldest_first;
    events:
        appended_events_form_a_chain,
        an_append_with_a_stale_version_reports_the_current_head,
        an_append_with_a_stale_head_reports_the_current_head,
        an_append_that_expects_no_head_needs_an_empty_branch,
        a_payload_that_names_a_missing_artifact_is_refused,
        of_many_writers_one_wins_each_version,
        pages_follow_the_history_in_both_orders,
        a_page_begins_behind_an_event_of_the_history_only,
        a_deep_fork_reads_like_a_long_branch;
    merges:
        a_checkpoint_appends_one_event,
        a_compaction_appends_one_checkpoint,
        a_rebase_appends_copies_in_order,
        a_fork_merge_leaves_both_branches_alone,
        a_merge_without_common_history_takes_the_whole_source,
        a_merge_of_nothing_new_is_refused,
        a_merge_checks_its_source_and_payload,
        a_stale_merge_changes_nothing;
    snapshots:
        a_snapshot_pins_the_version_and_the_manifest,
        a_manifest_names_only_what_exists;
    prompts:
        a_prompt_is_bundles_then_history,
        a_snapshot_prompt_is_exactly_its_manifest,
        unknown_and_contradictory_state_names_its_field,
        deleted_content_names_the_field_that_led_to_it,
        a_prompt_that_is_too_long_names_the_field_that_led_to_it,
        a_generation_needs_an_active_session;
    responses:
        a_response_is_kept_until_it_expires,
        a_cancelled_response_stays_cancelled,
        an_ended_response_is_cancelled_without_effect,
        input_items_stay_with_their_response_and_go_with_it,
        open_responses_fail_at_a_restart,
        responses_that_have_ended_or_are_gone_are_told_from_open_ones,
        a_deleted_v1_response_is_gone,
        the_end_of_a_begun_response_changes_only_an_open_one;
    conversations:
        a_conversation_is_kept_until_it_is_deleted,
        a_repeated_creation_of_a_conversation_is_replayed,
        a_conversation_reads_the_items_of_its_responses_in_order,
        a_chain_of_responses_reads_the_items_of_each,
        what_cannot_be_continued_names_the_member,
        a_project_has_one_compaction_key_of_its_own;
    files:
        a_file_is_stored_and_read_back,
        the_number_of_files_is_limited_under_concurrency,
        an_expired_file_is_gone_and_makes_room,
        files_are_listed_by_page_and_purpose;
    diagnostics:
        a_report_is_signed_and_kept_as_it_was_answered;
    purge:
        a_purge_takes_everything_that_depends_on_the_artifact,
        each_purge_raises_the_generation_of_its_project,
        a_purge_leaves_everything_else_alone,
        a_receipt_verifies_offline,
        a_deleted_artifact_can_be_purged_once,
        a_purge_of_a_missing_artifact_changes_nothing,
        a_purge_drops_kept_answers_that_hold_the_content,
        an_answer_that_a_purge_overtook_is_not_kept,
        a_repeated_purge_is_replayed;
    tenancy:
        objects_of_another_project_are_as_missing_ones;
    aliases:
        a_release_retires_the_one_before,
        releases_are_listed_by_alias_and_belong_to_their_project,
        a_repeated_release_is_replayed_and_retires_nothing;
    hints:
        hints_are_stored_as_they_are_until_they_are_deleted;
    usage:
        sums_equal_the_events_and_the_latest_are_listed,
        an_event_that_is_sent_twice_counts_once,
        a_selection_is_by_period_and_exact_values,
        groups_split_the_sums,
        forgotten_events_are_gone;
    batches:
        a_batch_goes_from_its_lines_to_its_files,
        a_bad_input_fails_its_batch,
        a_batch_needs_an_input_file_of_its_project,
        a_repeated_create_is_replayed_also_without_the_file,
        batches_are_listed_newest_first,
        a_cancelled_batch_keeps_what_ran,
        a_batch_that_ended_is_not_cancelled,
        an_expired_batch_keeps_what_ran,
        batches_that_cannot_end_yet_keep_no_other_from_its_end;
    batch_lines:
        a_line_is_held_by_one_until_its_lease_ends,
        a_renewed_line_stays_with_its_holder,
        a_released_line_is_due_again_and_its_attempt_does_not_count,
        a_lease_of_a_line_that_is_gone_holds_no_other_line,
        a_line_that_waits_is_due_at_its_time,
        a_line_that_rests_is_due_at_its_time_and_its_attempt_does_not_count,
        a_batch_of_which_many_lines_wait_is_held_up_and_holds_up_no_other,
        lines_that_wait_for_long_hold_no_other_up,
        batches_take_turns,
        every_line_comes_to_exactly_one_end;
    batch_files:
        an_open_batch_keeps_room_for_its_files,
        the_files_of_a_batch_go_a_day_after_its_end,
        an_input_stays_while_another_batch_needs_it,
        a_batch_is_forgotten_after_a_month;
}
