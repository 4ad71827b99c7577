//! Nobody may keep a connection for ever, and nobody is cut off who makes progress.

use std::time::Duration;

use fileserver::StrategyKind;
use fileserver_proto::Timeouts;

use crate::content::bytes;
use crate::peer::{Peer, framed_data, framed_get, framed_name, http_get, http_put};
use crate::server::Server;

const SOON: Duration = Duration::from_millis(200);
/// Short for a test, and long for a peer that makes progress on a busy machine.
const LATER: Duration = Duration::from_secs(3);
const NEVER: Duration = Duration::from_secs(3600);

/// A server whose every timeout is never, but for those that are adjusted.
fn server(kind: StrategyKind, adjust: impl FnOnce(&mut Timeouts)) -> Server {
    Server::with(kind, |options| {
        let timeouts = &mut options.settings.timeouts;
        *timeouts = Timeouts {
            head: NEVER,
            stall: NEVER,
            idle: NEVER,
            quiet: NEVER,
            quiet_name: NEVER,
            linger: SOON,
        };
        adjust(timeouts);
    })
}

pub(crate) fn an_idle_connection_is_closed(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.idle = LATER);
    server.store("file", "content");
    let mut silent = server.connect();
    assert_eq!(silent.rest(), b"");
    let mut http = server.connect();
    assert_eq!(http.get("file"), b"content");
    assert_eq!(http.get("file"), b"content");
    assert_eq!(http.rest(), b"");
    let mut framed = server.connect();
    framed.send(framed_get("file")).message();
    assert_eq!(framed.rest(), b"");
    server.wait_until_deserted();
    server.stop();
}

pub(crate) fn a_head_must_be_whole_in_time(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.head = SOON);
    // Each byte is progress, and the head is late all the same.
    let mut dribbling = server.connect();
    dribbling.send("GET /file HTTP/1.1\r\nX-Long: ");
    while dribbling.hears_nothing_for(Duration::from_millis(20)) {
        dribbling.try_send("x");
    }
    assert_eq!(dribbling.reply().status, 408);
    assert_eq!(dribbling.rest(), b"");
    let mut framed = server.connect();
    assert!(framed.send(&framed_get("file")[..5]).message().is_error());
    assert_eq!(framed.rest(), b"");
    assert!(server.connect().send("fil").rest().starts_with(b"ERROR "));
    drop((dribbling, framed));
    server.wait_until_deserted();
    server.stop();
}

pub(crate) fn a_stalled_upload_is_ended_but_not_a_slow_one(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.stall = LATER);
    let content = bytes(1, 1000);
    let mut stalled = server.connect();
    assert_eq!(stalled.send(http_put("a", 1000)).send(&content[..999]).reply().status, 408);
    drop(stalled);
    let mut framed = server.connect();
    framed.send(framed_name("a")).message();
    assert!(framed.send(framed_data(1000)).send(&content[..999]).message().is_error());
    drop(framed);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), [""; 0]);

    let mut slow = server.connect();
    slow.send(http_put("b", 1000));
    for piece in content.chunks(100) {
        std::thread::sleep(LATER / 8);
        slow.send(piece);
    }
    assert_eq!(slow.reply().stored_name(), "b");
    server.stop();
}

pub(crate) fn a_stalled_download_is_ended(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.stall = LATER);
    let content = bytes(2, 20_000_000);
    server.store("file", &content);
    let mut unread = Peer::connect_narrow(server.address());
    unread.send(http_get("file")).bytes(1);
    server.wait_until_deserted();
    assert!(unread.rest().len() < content.len());
    // Whoever reads gets all of it.
    assert!(server.connect().get("file") == content);
    server.stop();
}
