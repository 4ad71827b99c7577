//! Servers suspended or killed during transfers.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use fileserver::StrategyKind;
use rustix::process::Signal;
use testkit::{Folder, content};

use crate::attack::number;
use crate::attack::victim::{Victim, crowd};
use crate::peer::{http_get, http_put};

const LEN: usize = 4 << 20;

/// Transfers in progress arrive whole although the server is suspended several times.
pub(crate) fn suspended_during_transfers(kind: StrategyKind) -> String {
    let victim = Victim::start(kind, &["--durability", "none"]);
    let down = victim.folder.put("down", LEN);
    let transfers = crowd(kind, 8);
    let suspensions = number(5, 50);
    std::thread::scope(|scope| {
        for index in 0..transfers {
            let (victim, down) = (&victim, &down);
            scope.spawn(move || {
                let name = format!("up-{index}");
                for _ in 0..3 {
                    let mut peer = victim.connect();
                    assert!(peer.get("down") == *down);
                    let up = content(&name, LEN);
                    let stored = peer.put(&name, &up);
                    assert!(victim.folder.read(&stored) == up);
                }
            });
        }
        for _ in 0..suspensions {
            victim.signal(Signal::STOP);
            std::thread::sleep(Duration::from_millis(5));
            victim.signal(Signal::CONT);
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    format!("{suspensions} times, {} transfers whole", 6 * transfers)
}

/// After a kill at any time, visible files are whole, and the next server removes the rest.
pub(crate) fn killed_during_uploads(kind: StrategyKind) -> String {
    let folder = Folder::new();
    let kills = number(4, 200);
    let mut whole = 0;
    for kill in 0..kills {
        let victim = Victim::on(folder.clone(), kind, &["--durability", "none"]);
        let address = victim.address();
        std::thread::scope(|scope| {
            for index in 0..6 {
                scope.spawn(move || {
                    for number in 0.. {
                        let len = [900, 70_000, 1_500_000][number % 3];
                        let name = format!("{kill}-{index}-{number}");
                        let upload = || -> std::io::Result<()> {
                            let mut stream = TcpStream::connect(address)?;
                            stream.write_all(http_put(&name, len as u64).as_bytes())?;
                            stream.write_all(&content(&name, len))?;
                            stream.shutdown(std::net::Shutdown::Write)?;
                            std::io::copy(&mut stream, &mut std::io::sink())?;
                            Ok(())
                        };
                        if upload().is_err() {
                            break;
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(60 + 17 * (kill as u64 % 10)));
            victim.kill();
        });
        whole += check_and_remove(&folder);
    }
    assert!(whole > 0, "nothing was uploaded");
    let victim = Victim::on(folder, kind, &[]);
    fs::write(victim.folder.path().join("small"), crate::attack::victim::SMALL).unwrap();
    victim.probe();
    assert_eq!(victim.connect().send(http_get("0-0-0")).reply().status, 404);
    assert_eq!(victim.folder.names(), ["small"], "what was unfinished is removed at a start");
    format!("{kills} kills, {whole} files whole")
}

/// Checks and removes every visible file; returns their number.
fn check_and_remove(folder: &Folder) -> usize {
    let mut whole = 0;
    for name in folder.names() {
        // Unfinished uploads are hidden.
        if name.starts_with('.') {
            continue;
        }
        let bytes = folder.read(&name);
        assert!(bytes == content(&name, bytes.len()), "{name} has other bytes");
        let number: usize = name.rsplit('-').next().unwrap().parse().unwrap();
        assert_eq!(bytes.len(), [900, 70_000, 1_500_000][number % 3], "{name} is not whole");
        fs::remove_file(folder.path().join(&name)).unwrap();
        whole += 1;
    }
    whole
}
