//! What every strategy must do, tested over real sockets; the same tests for each of them.

mod command_line;
mod content;
mod descriptors;
mod drain;
mod limits;
mod names;
mod odd_peers;
mod peer;
mod process;
mod scheduling;
mod server;
mod timeouts;
mod transfers;

use fileserver::StrategyKind;

/// Makes `selector::every_size_over_http` and so on from `transfers::every_size_over_http`.
macro_rules! tests_of_strategy {
    ($strategy:ident, $kind:ident; $($module:ident::$test:ident)*) => {
        mod $strategy {
            $(
                #[test]
                fn $test() {
                    crate::$module::$test(fileserver::StrategyKind::$kind);
                }
            )*
        }
    };
}

/// Tests for every strategy, and tests for those that serve several connections at once.
macro_rules! tests_of_all_strategies {
    (each { $($each:tt)* } concurrent { $($concurrent:tt)* }) => {
        tests_of_strategy!(iterative, Iterative; $($each)*);
        tests_of_strategy!(threaded, Threaded; $($each)* $($concurrent)*);
        tests_of_strategy!(thread_pool, ThreadPool; $($each)* $($concurrent)*);
        tests_of_strategy!(selector, Selector; $($each)* $($concurrent)*);
    };
}

// A strategy that is added must be added above, too.
const _: () = assert!(StrategyKind::ALL.len() == 4);

tests_of_all_strategies! {
    each {
        transfers::every_size_over_http
        transfers::every_size_over_framed
        transfers::a_large_file_up_over_http_and_down_over_framed
        transfers::a_large_file_up_over_framed_and_down_over_http
        transfers::a_hundred_uploads_of_one_name
        transfers::an_upload_without_a_name_is_told_its_name
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
        odd_peers::garbage_is_refused
        names::no_name_leaves_the_root
        names::no_link_leaves_the_root
        names::only_regular_files_are_served
        names::unusual_names_are_kept
        limits::an_over_long_head_is_refused
        limits::an_over_long_name_is_refused
        limits::an_over_large_upload_is_refused
        limits::an_upload_beyond_the_free_space_is_refused
        limits::a_disk_that_fills_up_is_told
        timeouts::an_idle_connection_is_closed
        timeouts::a_head_must_be_whole_in_time
        timeouts::a_stalled_upload_is_ended_but_not_a_slow_one
        timeouts::a_stalled_download_is_ended
        descriptors::more_clients_than_descriptors
        descriptors::descriptors_run_out_while_serving
        drain::a_download_in_progress_is_finished
        drain::an_upload_in_progress_is_finished
        drain::idle_connections_do_not_delay_the_end
        drain::a_second_signal_ends_at_once
        drain::a_drain_is_limited_in_time
    }
    concurrent {
        odd_peers::a_stalled_peer_holds_nobody_up
        limits::connections_beyond_the_limit_wait
        scheduling::many_keep_alive_clients_all_make_progress
        scheduling::a_large_transfer_does_not_starve_small_ones
    }
}
