//! `bench xray`: pictures of the threads of each server while it serves the same few requests.

mod clock;

pub(crate) mod scene;

mod client;

mod actions;

mod kernel_line;

mod states;

mod threads;

mod tracefs;

mod recording;

pub(crate) mod recorder;

pub(crate) mod live;
