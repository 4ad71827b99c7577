//! Seeds of the fuzz targets: each passes, and reaches the code in its name.

use std::fs;

use fileserver_proto::client::ReplyError;

use crate::support::case::Case;
use crate::support::replies::Replies;

#[test]
fn every_seed_holds_and_reaches_what_it_is_named_for() {
    let mut seen = 0;
    for (name, data) in seeds("session") {
        let outcome = Case::of(&data).expect("a seed has settings and input").outcome();
        let stored = outcome.store.files.len() - 2;
        let expected = match &*name {
            "form-body" => 2,
            "form-body-limits" | "http-form-chunked" | "http-form-more" => 1,
            "http-tus" | "tus-create-empty" | "tus-piece" => 1,
            "tus-create" => outcome.store.partials.len() - 1,
            _ => continue,
        };
        assert_eq!(stored, expected, "{name}: {outcome:?}");
        seen += 1;
    }
    assert_eq!(seen, 8, "a seed is missing");
}

#[test]
fn every_seed_of_chunks_stores_its_file() {
    for seed in seeds("chunked") {
        let outcome = Case::of_kinds(&seed.1, b"k").unwrap().outcome();
        let (_, content) =
            outcome.store.files.iter().find(|(name, _)| name.as_str() == "up").unwrap();
        assert_eq!(content, b"hello", "{}", seed.0);
    }
}

#[test]
fn every_seed_of_replies_is_read() {
    let mut seen = 0;
    for (name, data) in seeds("reply") {
        let trace = Replies::of(&data).unwrap().trace();
        let ended = trace.replies.iter().filter(|reply| reply.ended).count();
        let expected = match &*name {
            "framed" => (3, Err(ReplyError::NoReply)),
            "headless" | "lines" => {
                (2 - usize::from(name == "headless"), Err(ReplyError::Truncated))
            }
            "http-chunked" | "http-head-only" | "http-sized" => (2, Err(ReplyError::NoReply)),
            "http-until-close" | "text" => (0, Ok(())),
            _ => panic!("{name} is not listed above"),
        };
        assert_eq!((ended, trace.end), expected, "{name}: {:?}", trace.replies);
        seen += 1;
    }
    assert_eq!(seen, 8, "a seed is missing");
}

/// Name and content of every seed of a target.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let seeds = fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())
    });
    seeds.collect()
}
