//! Arbitrary chunks of an upload. Besides the checks of `session`, the stored content equals that of
//! a decoder written for this comparison.
#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use support::case::Case;

fuzz_target!(|data: &[u8]| {
    let Some(case) = Case::of_kinds(data, b"k") else { return };
    let outcome = case.outcome();
    let is_files = !data[1].is_ascii_digit();
    if !is_files || data[0].is_ascii_uppercase() {
        return;
    }
    let head = case.input().windows(4).position(|four| four == b"\r\n\r\n").expect("has a head");
    let Some(expected) = decoded(&case.input()[head + 4..]) else { return };
    // A request after it may overwrite the file or store it under another name.
    if expected.rest.is_empty() {
        let stored = outcome.store.files.iter().find(|(name, _)| name.as_str() == "up");
        assert_eq!(stored.map(|(_, content)| content), Some(&expected.content));
    }
});

struct Decoded<'a> {
    content: Vec<u8>,
    rest: &'a [u8],
}

/// Decodes chunks without extensions and trailers; `None` for any other input.
fn decoded(mut input: &[u8]) -> Option<Decoded<'_>> {
    let mut content = Vec::new();
    loop {
        let end = input.windows(2).position(|two| two == b"\r\n")?;
        let digits = std::str::from_utf8(&input[..end]).ok()?;
        let is_plain = (1..=8).contains(&digits.len()) && !digits.starts_with('+');
        let len = usize::from_str_radix(digits, 16).ok().filter(|_| is_plain)?;
        input = &input[end + 2..];
        if len == 0 {
            return Some(Decoded { content, rest: input.strip_prefix(b"\r\n")? });
        }
        content.extend_from_slice(input.get(..len)?);
        input = input[len..].strip_prefix(b"\r\n")?;
    }
}
