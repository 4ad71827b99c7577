//! Seeds of the fuzz target `session`: each passes, and reaches the code in its name.

mod support;

use support::case::Case;

#[test]
fn every_seed_holds_and_reaches_what_it_is_named_for() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/session");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let data = std::fs::read(&path).unwrap();
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
