//! Tests over real sockets, the same for every strategy.

mod attack;
mod chat;
mod command_line;
mod content;
mod cut_off;
mod descriptors;
mod drain;
mod http_framing;
mod http_reading;
mod http_uploads;
mod limits;
mod names;
mod observing;
mod odd_peers;
mod peer;
mod process;
mod processes;
mod program;
mod resumable;
mod scheduling;
mod server;
mod services;
mod timeouts;
mod trace;
mod transfers;

use fileserver::StrategyKind;

/// Runs a test, unless the system lacks what the strategy needs.
fn run(test: &str, kind: StrategyKind, case: fn(StrategyKind)) {
    match kind.availability() {
        Ok(()) => case(kind),
        Err(reason) => testkit::skip(test, reason),
    }
}

/// Defines `selector::every_size_over_http` and so on from `transfers::every_size_over_http`. The
/// attribute says when the tests of the second list run.
macro_rules! tests_of_strategy {
    (
        $strategy:ident, $kind:ident, $when:meta;
        { $($module:ident::$test:ident)* }
        { $($protocol_module:ident::$protocol_test:ident)* }
    ) => {
        mod $strategy {
            $(
                #[test]
                fn $test() {
                    let kind = fileserver::StrategyKind::$kind;
                    crate::run(stringify!($test), kind, crate::$module::$test);
                }
            )*
            $(
                #[test]
                #[$when]
                fn $protocol_test() {
                    let kind = fileserver::StrategyKind::$kind;
                    let case = crate::$protocol_module::$protocol_test;
                    crate::run(stringify!($protocol_test), kind, case);
                }
            )*
        }
    };
}

macro_rules! tests_of_long_form {
    ($strategy:ident, $kind:ident; $($lists:tt)*) => {
        tests_of_strategy!($strategy, $kind, ignore = "long: scripts/test-long.sh"; $($lists)*);
    };
}

/// Tests of the protocol's code, which all strategies share: they run with the other tests for a
/// strategy of each model of I/O (blocking calls, readiness, completions), and for the others by
/// `scripts/test-long.sh`. Tests for every strategy; tests for those that serve several connections at
/// once; and tests for those of them where a connection that is accepted need not hold a worker.
macro_rules! tests_of_all_strategies {
    (
        protocol { $($protocol:tt)* }
        each { $($each:tt)* }
        concurrent { $($concurrent:tt)* }
        shared { $($shared:tt)* }
    ) => {
        tests_of_long_form!(iterative, Iterative; { $($each)* } { $($protocol)* });
        // With all processes busy a connection waits in the accept queue, without timeouts.
        tests_of_long_form!(prefork, Prefork; { $($each)* $($concurrent)* } { $($protocol)* });
        tests_of_strategy!(
            threaded, Threaded, cfg(all());
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_long_form!(
            thread_pool, ThreadPool;
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_strategy!(
            selector, Selector, cfg(all());
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_long_form!(
            multi_selector, MultiSelector;
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_long_form!(
            hybrid, Hybrid;
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_strategy!(
            uring, Uring, cfg(all());
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
        tests_of_long_form!(
            tokio, Tokio;
            { $($each)* $($concurrent)* $($shared)* } { $($protocol)* }
        );
    };
}

// A new strategy needs an entry above.
const _: () = assert!(StrategyKind::ALL.len() == 9);

tests_of_all_strategies! {
    protocol {
        transfers::an_upload_without_a_name_is_told_its_name
        odd_peers::garbage_is_refused
        http_reading::a_range_is_just_these_bytes
        http_reading::a_cut_download_is_resumed_only_of_the_same_file
        http_reading::what_a_cache_has_is_not_sent_again
        http_reading::head_is_get_without_the_content
        http_reading::methods_are_told_and_others_refused
        http_reading::the_listing_suits_whoever_asks
        http_reading::what_scripts_a_file_holds_do_not_act_for_its_reader
        http_uploads::a_stored_upload_is_told_where_it_is
        http_uploads::a_taken_name_can_be_an_error
        http_uploads::a_taken_name_can_be_overwritten
        http_uploads::content_that_is_not_what_its_digest_says_is_not_stored
        http_uploads::a_form_brings_files
        http_uploads::a_boundary_may_fall_anywhere
        http_uploads::a_faulty_form_is_refused
        http_uploads::pages_of_other_sites_cannot_upload
        http_uploads::nothing_is_written_outside_by_any_way_to_upload
        http_framing::an_ambiguous_request_is_answered_once
        http_framing::content_of_a_read_is_no_request
        http_framing::old_and_plain_requests_are_served
        resumable::a_taken_name_is_numbered_when_the_upload_is_whole
        resumable::a_piece_that_does_not_fit_is_refused
        resumable::a_whole_that_is_not_what_its_digest_says_is_gone
        resumable::what_is_kept_of_an_upload_is_no_file
        names::no_name_leaves_the_root
        names::no_link_leaves_the_root
        names::only_regular_files_are_served
        names::unusual_names_are_kept
        limits::an_over_long_head_is_refused
        limits::an_over_long_name_is_refused
        services::hello_answers_each_message_and_shows_it
        services::message_and_ack_show_and_answer
        services::one_server_shows_texts_and_stores_data
        services::a_message_over_4096_bytes_is_cut
        services::transform_on_every_wire
        services::date_tells_the_time_on_every_wire
        services::a_file_for_a_text_service_is_refused_and_the_next_text_answered
    }
    each {
        transfers::every_size_over_http
        transfers::every_size_over_framed
        transfers::a_large_file_up_over_http_and_down_over_framed
        transfers::a_large_file_up_over_framed_and_down_over_http
        transfers::uploads_and_downloads_over_one_connection
        transfers::every_send_path_delivers_the_same
        transfers::a_hundred_uploads_of_one_name
        transfers::a_chunked_upload
        transfers::a_line_of_text_names_a_file
        transfers::all_wires_on_one_port_at_once
        transfers::the_root_is_a_listing
        odd_peers::a_cut_off_upload_leaves_nothing
        odd_peers::requests_that_come_byte_by_byte
        odd_peers::a_slow_reader_gets_every_byte
        odd_peers::half_closed_peers_are_answered
        odd_peers::pipelined_requests_are_answered_in_order
        odd_peers::resets_during_transfers_hurt_nobody_else
        odd_peers::a_peer_that_does_not_listen_is_not_listened_to
        http_reading::a_file_changed_by_others_is_served_as_it_is
        http_reading::a_deleted_file_does_not_stay_open
        http_uploads::what_was_overwritten_has_another_tag
        http_uploads::a_body_is_asked_for_where_its_sender_waits
        http_framing::an_early_refusal_is_heard_and_its_body_skipped
        http_framing::a_refusal_is_heard_by_a_peer_that_sends_all_the_while
        resumable::an_upload_goes_on_after_its_connection_broke
        resumable::an_upload_survives_the_server
        resumable::unfinished_uploads_are_limited_and_expire_while_the_server_runs
        limits::an_over_large_upload_is_refused
        limits::an_upload_beyond_the_free_space_is_refused
        limits::a_disk_that_fills_up_is_told
        timeouts::an_idle_connection_is_closed
        timeouts::a_head_must_be_whole_in_time
        timeouts::a_stalled_upload_is_ended
        timeouts::a_stalled_download_is_ended
        descriptors::more_clients_than_descriptors
        descriptors::descriptors_run_out_while_serving
        cut_off::a_file_that_shrinks_meanwhile_ends_with_a_reset
        drain::a_download_in_progress_is_finished
        drain::an_upload_in_progress_is_finished
        drain::idle_connections_do_not_delay_the_end
        drain::a_second_signal_ends_at_once
        drain::a_drain_is_limited_in_time
        observing::each_request_is_a_line_of_the_access_log
        observing::connections_and_requests_are_logged_at_their_levels
        observing::the_status_counts_connections_requests_and_bytes
        services::echo_gives_back_every_byte_however_it_comes
        services::greet_close_shows_who_it_is_and_closes
        services::date_log_numbers_go_on_after_a_restart
        services::work_is_done_where_it_is_allowed
        trace::every_request_is_in_the_trace
    }
    concurrent {
        odd_peers::a_stalled_peer_holds_nobody_up
        resumable::one_connection_at_a_time_appends
        limits::connections_beyond_the_limit_wait
        limits::one_address_has_so_many_connections_and_others_have_theirs
        scheduling::many_keep_alive_clients_all_make_progress
        scheduling::a_large_transfer_does_not_starve_small_ones
        services::date_log_numbers_have_no_gaps_under_a_hundred_clients
    }
    shared {
        chat::a_line_goes_to_every_other_member
        chat::no_line_acts_on_the_terminals_of_others
        chat::two_talk_at_once
        chat::a_paste_reaches_all_who_read
        chat::many_members_that_do_not_read_delay_nobody
        chat::a_line_without_end_does_not_occupy_a_worker
        chat::whoever_leaves_is_not_missed
        chat::a_member_that_does_not_read_is_dropped_and_the_room_goes_on
        chat::idle_members_do_not_delay_a_drain
        chat::framed_http_and_text_meet
        cut_off::held_workers_keep_no_idle_connection_open
    }
}
