//! Warnings and documents of the load generator.

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use testkit::busy_core::{BusyCore, allowed_cores};

use crate::cli::support::{Server, run, stdout};

#[test]
fn a_load_warns_if_another_program_uses_its_core() {
    if !Path::new("/proc/self/schedstat").exists() {
        eprintln!("skipped: the kernel does not record run delays");
        return;
    }
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    let core = allowed_cores()[0];
    // Polling for arrivals, the generator is always ready to run.
    let arguments = "load HOST PORT --file a.bin:1000 --rate 5000 -d 500ms --warm-up 0s";
    let neighbour = BusyCore::start(core);
    let ran = run(local.path(), server.address, &format!("{arguments} --cores {core}"));
    drop(neighbour);
    let table = stdout(&ran);
    assert!(table.contains("the generator waited "), "{table}");
    assert!(table.contains("stop other programs"), "{table}");
}

/// The single JSON document of standard output.
fn document(ran: &Output, code: i32) -> Value {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    serde_json::from_slice(&ran.stdout).expect("standard output is one JSON document")
}

/// Checks that every key of a document is described.
fn is_described(value: &Value) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (key, value) in value.as_object().into_iter().flatten() {
        assert!(page.contains(&format!("`{key}`")), "{key} is not described in docs/json.md");
        is_described(value);
    }
}

#[test]
fn a_load_is_printed_as_one_json_document() {
    let server = Server::start();
    server.folder.put("a.bin", 1_000);
    let local = tempfile::tempdir().unwrap();
    let load = |rest: &str| {
        let arguments = format!("load HOST PORT -c 2 -d 300ms --warm-up 0s --format json {rest}");
        run(local.path(), server.address, &arguments)
    };
    let document_of = |rest: &str| document(&load(rest), 0);
    let closed = document_of("--file a.bin:1000");
    assert_eq!((&closed["schema"], &closed["document"]), (&1.into(), &"load".into()));
    is_described(&closed);
    is_described(&closed["files"][0]);
    let requests = closed["requests"].as_u64().unwrap();
    let rate = requests as f64 / closed["window_s"].as_f64().unwrap();
    assert!(requests > 0 && (closed["requests_per_s"].as_f64().unwrap() / rate - 1.0).abs() < 1e-9);
    assert_eq!((&closed["offered_per_s"], &closed["arrivals"]), (&Value::Null, &Value::Null));
    assert_eq!(closed["files"][0]["size_bytes"], 1_000);
    assert_eq!((&closed["errors"]["total"], &closed["keep_alive"]), (&0.into(), &true.into()));
    let times = &closed["times"];
    assert!(times["response"]["p50_us"]["value"].as_f64().unwrap() > 0.0, "{times}");
    assert!(times["service"].is_null() && times["send_delay"].is_null(), "{times}");

    let open = document_of("--file a.bin:1000 --rate 50");
    is_described(&open);
    assert_eq!(open["offered_per_s"], 50.0);
    assert_eq!(open["times"]["response"]["p999_us"]["value"], Value::Null);
    assert_eq!(open["times"]["response"]["p999_us"]["reason"], "few");
    assert!(open["times"]["send_delay"]["samples"].as_u64().unwrap() > 0, "{open}");

    let failed = load("--file missing:5");
    let failure = document(&failed, 1);
    assert!(failure["errors"]["status"].as_u64().unwrap() > 0, "{failure}");
    assert_eq!(failure["times"]["response"]["p50_us"]["reason"], "not-measured");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("no request succeeded"), "{failed:?}");

    let refused =
        run(local.path(), server.address, "load HOST PORT --file a.bin:1000 --format xml");
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
}
