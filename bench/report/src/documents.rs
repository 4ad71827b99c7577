//! Documents for other programs: JSON, and the formats of benchmark services. `docs/json.md` describes them.

pub mod bencher;
pub mod diff;
pub mod github;
pub mod load_key;
pub mod markdown;
pub mod openmetrics;
pub mod run;
pub mod trusted;
pub mod values;

use serde::Serialize;

/// Version of the JSON documents, their key `schema`. It changes if a key is removed or changes its
/// meaning; further keys do not change it.
pub const SCHEMA: u32 = 1;

/// A document as JSON, indented, with a line feed at the end.
///
/// # Panics
/// Never: documents have only texts as keys of maps.
pub fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("the keys of all maps are texts") + "\n"
}
