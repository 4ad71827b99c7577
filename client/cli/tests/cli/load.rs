//! Warnings of the load generator.

use std::path::Path;

use testkit::busy_core::{BusyCore, allowed_cores};

use crate::support::{Server, run, stdout};

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
