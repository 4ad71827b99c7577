//! Timeouts end connections under every strategy. Their renewal by progress is tested with the
//! session in virtual time.

use std::time::Duration;

use fileserver::StrategyKind;
use fileserver_proto::Timeouts;

use crate::content::bytes;
use crate::peer::{Peer, framed_data, framed_get, framed_name, http_get, http_put};
use crate::server::Server;

const SOON: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_secs(3600);

/// A server without timeouts except for the adjusted ones.
fn server(kind: StrategyKind, adjust: impl FnOnce(&mut Timeouts)) -> Server {
    Server::with(kind, |options| {
        let timeouts = &mut options.settings.timeouts;
        *timeouts = Timeouts {
            head: NEVER,
            stall: NEVER,
            body_rate: 0,
            idle: NEVER,
            quiet: NEVER,
            quiet_name: NEVER,
            linger: SOON,
            linger_total: NEVER,
        };
        adjust(timeouts);
    })
}

pub(crate) fn an_idle_connection_is_closed(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.idle = SOON);
    server.store("file", "content");
    assert_eq!(server.connect().rest(), b"");
    for (requests, beginning) in [
        ([http_get("file"), http_get("file")].concat().into_bytes(), &b"HTTP/1.1 200 "[..]),
        (framed_get("file"), b"\x02\x07"),
    ] {
        let reply = std::iter::repeat_with(|| {
            let mut peer = server.connect();
            peer.try_send(&requests);
            peer.rest()
        });
        // On a busy machine the idle timeout can expire before the request.
        let reply = reply.take(100).find(|reply| !reply.is_empty()).unwrap();
        assert!(reply.starts_with(beginning) && reply.ends_with(b"content"), "{reply:?}");
    }
    server.wait_until_deserted();
    server.stop();
}

pub(crate) fn a_head_must_be_whole_in_time(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.head = SOON);
    // Every byte is progress, but the head as a whole is late.
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

pub(crate) fn a_stalled_upload_is_ended(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.stall = SOON);
    let content = bytes(1, 999);
    let mut stalled = server.connect();
    stalled.send([http_put("a", 1000).as_bytes(), &content].concat());
    assert_eq!(stalled.reply().status, 408);
    drop(stalled);
    let mut framed = server.connect();
    framed.send(framed_name("a")).message();
    assert!(framed.send([&framed_data(1000), &content[..]].concat()).message().is_error());
    drop(framed);
    server.wait_until_deserted();
    assert_eq!(server.on_disk(), [""; 0]);
    server.stop();
}

pub(crate) fn a_stalled_download_is_ended(kind: StrategyKind) {
    let server = server(kind, |timeouts| timeouts.stall = SOON);
    let content = bytes(2, 20_000_000);
    server.store("file", &content);
    let mut unread = Peer::connect_narrow(server.address());
    unread.send(http_get("file")).bytes(1);
    server.wait_until_deserted();
    assert!(unread.rest().len() < content.len());
    server.stop();
}
