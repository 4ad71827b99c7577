//! Systems that lack space, write permission or threads.

use std::fs::{Permissions, set_permissions, write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use fileserver::StrategyKind;
use testkit::Folder;

use crate::attack::skipped;
use crate::attack::victim::{SMALL, Victim};
use crate::peer::{http, http_put};

/// An upload without enough space is refused; a later one that fits is stored.
pub(crate) fn a_full_disk(kind: StrategyKind) -> String {
    let mounts = "mount -t tmpfs -o size=6m tmpfs $ROOT && printf small > $ROOT/small";
    let Some(victim) = in_own_mounts(kind, mounts) else {
        return skipped("a_full_disk", "it takes the right to mount");
    };
    victim.probe();
    for _ in 0..3 {
        let mut peer = victim.connect();
        // Chunked: the length is not known in advance.
        peer.send("PUT /large HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"80000\r\n", &[5; 0x8_0000][..], b"\r\n"].concat();
        for _ in 0..24 {
            // The server may have refused and closed.
            if !peer.try_send(&chunk) {
                break;
            }
        }
        assert_eq!(peer.reply_head().status, 507);
    }
    let fits = [6; 1 << 20];
    assert_eq!(victim.connect().put("fits", &fits), "fits");
    assert!(victim.connect().get("fits") == fits);
    victim.probe();
    "507; the next one stored".to_owned()
}

/// A read-only root is served; uploads are refused.
pub(crate) fn a_read_only_root(kind: StrategyKind) -> String {
    let mounts = "printf small > $ROOT/small && mount --bind $ROOT $ROOT && \
                  mount -o remount,ro,bind $ROOT";
    let Some(victim) = in_own_mounts(kind, mounts) else {
        return skipped("a_read_only_root", "it takes the right to mount");
    };
    victim.probe();
    let mut peer = victim.connect();
    let status = peer.send(http_put("new", 4)).send("1234").reply().status;
    assert!(status >= 400, "{status}");
    drop(peer);
    victim.probe();
    assert_eq!(victim.folder.names(), ["small"]);
    format!("served; uploads {status}")
}

/// Uploads whose sync fails are refused and leave nothing behind; the server goes on.
pub(crate) fn a_disk_that_fails_to_sync(kind: StrategyKind) -> String {
    let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/attack/failing-sync.py");
    if !Command::new(launcher).arg("true").status().is_ok_and(|status| status.success()) {
        return skipped("a_disk_that_fails_to_sync", "it takes Python and seccomp filters");
    }
    let mut refused = 0;
    for durability in ["data", "full"] {
        let folder = Folder::new();
        write(folder.path().join("small"), SMALL).unwrap();
        let arguments = ["--durability", durability];
        let victim = Victim::under(&[launcher], folder, kind, &arguments).unwrap();
        for len in [5, 100_000, 4 << 20] {
            let mut peer = victim.connect();
            peer.send(http_put("new", len as u64)).send(vec![7; len]);
            assert_eq!(peer.reply().status, 500, "{durability}, {len} bytes");
            drop(peer);
            let mut peer = victim.connect();
            peer.send(http("PUT /new", "Transfer-Encoding: chunked\r\n"));
            peer.send(format!("{len:x}\r\n")).send(vec![7; len]).send("\r\n0\r\n\r\n");
            assert_eq!(peer.reply().status, 500, "{durability}, {len} bytes in a chunk");
            refused += 2;
        }
        victim.probe();
        assert_eq!(victim.folder.names(), ["small"]);
    }
    format!("{refused} uploads: 500")
}

/// A server in a mount namespace; `None` if this user may not mount.
fn in_own_mounts(kind: StrategyKind, mounts: &str) -> Option<Victim> {
    let may_mount = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let folder = Folder::new();
    let root = folder.path().to_str().unwrap();
    let script = format!(r#"ROOT='{root}'; {mounts} && exec "$0" "$@""#);
    may_mount.then(|| {
        Victim::under(&["unshare", "--mount", "sh", "-c", &script], folder.clone(), kind, &[])
            .unwrap()
    })
}

/// Without further threads a server serves with those it has, or reports that it cannot start.
pub(crate) fn no_further_threads(kind: StrategyKind) -> String {
    if !rustix::process::geteuid().is_root() {
        return skipped("no_further_threads", "it takes the right to become another user");
    }
    let mut outcomes = Vec::new();
    // Thread limits apply to ordinary users only, counted per user.
    for (threads, user) in [(1, 64_901), (4, 64_902), (7, 64_903), (10, 64_904)] {
        let user = user + 10 * StrategyKind::ALL.iter().position(|other| *other == kind).unwrap();
        let folder = Folder::new();
        write(folder.path().join("small"), SMALL).unwrap();
        set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let limit = format!("--nproc={threads}:{threads}");
        let user = format!("--reuid={user}");
        let launcher = ["setpriv", &user, "--clear-groups", "prlimit", &limit];
        match Victim::under(&launcher, folder.clone(), kind, &[]) {
            Ok(victim) => {
                victim.probe();
                victim.terminate();
                outcomes.push(format!("{threads}: served"));
            }
            Err(line) => {
                assert_eq!(line, "");
                let mut command = Victim::command(&launcher, &folder, kind, &[]);
                let status = command.stdout(Stdio::null()).status().unwrap();
                assert_eq!(status.code(), Some(2), "the code of a server that could not start");
                outcomes.push(format!("{threads}: refused to start"));
            }
        }
    }
    outcomes.join(", ")
}
