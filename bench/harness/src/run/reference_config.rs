//! The real servers of the comparison: where they are, which version, how they are configured.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;

use bench_data::servers::reference::Peer;

/// A peer that was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which one.
    pub peer: Peer,
    /// Name and version as the program tells them, such as `nginx/1.26.3`.
    pub version: Option<String>,
    binary: PathBuf,
    /// Folder of loadable modules, for those that have one.
    modules: Option<PathBuf>,
}

/// What a configuration depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Folder for everything but the served files.
    pub dir: String,
    /// Folder of the served files.
    pub root: String,
    /// Where to listen, on the loopback interface.
    pub port: String,
    /// Where the server behind it listens, for a proxy.
    pub upstream: Option<String>,
    /// The account that serves where the server is started as root: user and group.
    pub account: Option<(String, String)>,
    /// Connections of the load.
    pub connections: usize,
    /// Cores of the server.
    pub cores: usize,
    /// Open files that a process may have.
    pub descriptors: u64,
}

/// The values of a template.
#[derive(Debug, Serialize)]
struct Values<'v> {
    dir: &'v str,
    root: &'v str,
    port: &'v str,
    upstream: Option<&'v str>,
    user: Option<&'v str>,
    group: Option<&'v str>,
    mpm: Option<&'static str>,
    modules: Option<String>,
    places: usize,
    connections: usize,
    threads: usize,
    processes: usize,
    workers: usize,
    descriptors: u64,
    webdav: bool,
}

/// Most threads of each of Apache's processes, where these have several. As many as there are
/// connections, where that is not more: the event MPM closes kept-open connections of a process
/// whose threads are all busy, and the kernel deals connections unevenly.
const MOST_THREADS_PER_PROCESS: usize = 512;

/// Where distributions put servers, beside `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// Where they put Apache's modules.
const APACHE_MODULES: [&str; 6] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/libexec/apache2",
    "/usr/local/apache2/modules",
    "/usr/local/libexec/apache24",
];

/// Where they put lighttpd's.
const LIGHTTPD_MODULES: [&str; 3] =
    ["/usr/lib/lighttpd", "/usr/lib64/lighttpd", "/usr/local/lib/lighttpd"];

impl Installed {
    /// Looks for it on this machine.
    pub fn find(peer: Peer) -> Option<Self> {
        let names: &[&str] = match peer {
            Peer::Nginx | Peer::NginxThreaded => &["nginx"],
            Peer::ApachePrefork | Peer::ApacheWorker | Peer::ApacheEvent => &["apache2", "httpd"],
            Peer::Lighttpd => &["lighttpd"],
        };
        let binary = names.iter().find_map(|name| program(name))?;
        let modules = match (peer, mpm(peer)) {
            (Peer::Lighttpd, _) => folder_with(&LIGHTTPD_MODULES, "mod_webdav.so"),
            (_, None) => None,
            // Without the module that makes it what it is, it is not there.
            (_, Some(mpm)) => Some(folder_with(&APACHE_MODULES, &format!("mod_mpm_{mpm}.so"))?),
        };
        Some(Self { peer, version: version(&binary), binary, modules })
    }

    /// The configuration for a placement.
    ///
    /// # Errors
    /// The template does not fit its values.
    pub fn configuration(&self, placement: &Placement) -> Result<String, minijinja::Error> {
        self.render(placement, self.modules.as_ref().map(|path| path.display().to_string()))
    }

    /// The configuration to keep with the results: as it ran, but with `{dir}`, `{root}`, `{port}`
    /// and `{modules}` in place of what only this machine knows.
    ///
    /// # Errors
    /// The template does not fit its values.
    pub fn kept_configuration(&self, placement: &Placement) -> Result<String, minijinja::Error> {
        let placement = Placement {
            dir: "{dir}".to_owned(),
            root: "{root}".to_owned(),
            port: "{port}".to_owned(),
            upstream: Some("{upstream}".to_owned()),
            ..placement.clone()
        };
        let modules = self.modules.as_ref().map(|_| "{modules}".to_owned());
        Ok(format!(
            "# As it ran under {} connections; with others, workers and limits follow their \
             number.\n{}",
            placement.connections,
            self.render(&placement, modules)?
        ))
    }

    /// The words that start it in the foreground with this configuration.
    pub fn command(&self, configuration: &Path, error_log: &Path) -> Vec<OsString> {
        let words: Vec<OsString> = match self.peer {
            Peer::Nginx | Peer::NginxThreaded => {
                vec!["-c".into(), configuration.into(), "-e".into(), error_log.into()]
            }
            Peer::ApachePrefork | Peer::ApacheWorker | Peer::ApacheEvent => {
                vec!["-f".into(), configuration.into(), "-D".into(), "FOREGROUND".into()]
            }
            Peer::Lighttpd => vec!["-D".into(), "-f".into(), configuration.into()],
        };
        std::iter::once(self.binary.clone().into()).chain(words).collect()
    }

    fn render(
        &self,
        placement: &Placement,
        modules: Option<String>,
    ) -> Result<String, minijinja::Error> {
        let places = places(placement.connections);
        let (processes, threads) = processes_and_threads(places);
        let account = placement.account.as_ref();
        // A proxy has two connections for each of the load's.
        let sides = if self.peer == Peer::NginxThreaded { 2 } else { 1 };
        let values = Values {
            dir: &placement.dir,
            root: &placement.root,
            port: &placement.port,
            upstream: placement.upstream.as_deref(),
            user: account.map(|(user, _)| user.as_str()),
            group: account.map(|(_, group)| group.as_str()),
            mpm: mpm(self.peer),
            webdav: self.peer == Peer::Lighttpd && modules.is_some(),
            modules,
            // Event loops count listening and internal descriptors among their connections.
            connections: places * sides + if mpm(self.peer).is_none() { 256 } else { 0 },
            places,
            threads,
            processes,
            workers: placement.cores,
            descriptors: placement.descriptors,
        };
        let templates = Templates::new();
        // The template's last newline is left out.
        Ok(templates.render_named_str("peer.conf", template(self.peer), Serde(&values))? + "\n")
    }
}

fn mpm(server: Peer) -> Option<&'static str> {
    match server {
        Peer::Nginx | Peer::Lighttpd | Peer::NginxThreaded => None,
        Peer::ApachePrefork => Some("prefork"),
        Peer::ApacheWorker => Some("worker"),
        Peer::ApacheEvent => Some("event"),
    }
}

fn template(server: Peer) -> &'static str {
    match server {
        Peer::Nginx => include_str!("../../reference-servers/nginx.conf"),
        Peer::ApachePrefork | Peer::ApacheWorker | Peer::ApacheEvent => {
            include_str!("../../reference-servers/apache.conf")
        }
        Peer::Lighttpd => include_str!("../../reference-servers/lighttpd.conf"),
        Peer::NginxThreaded => include_str!("../../reference-servers/nginx-threaded.conf"),
    }
}

/// Places for connections where each takes a process or a thread: a quarter to spare, so that
/// those of the load before, which still close, keep no new one waiting.
pub(crate) fn places(connections: usize) -> usize {
    connections + connections / 4 + 8
}

/// How many processes of how many threads make so many places.
fn processes_and_threads(places: usize) -> (usize, usize) {
    let processes = places.div_ceil(MOST_THREADS_PER_PROCESS);
    (processes, places.div_ceil(processes))
}

/// Threads that must stand before the load begins.
pub fn threads_when_ready(server: Peer, placement: &Placement) -> usize {
    let places = places(placement.connections);
    match server {
        Peer::Nginx | Peer::NginxThreaded => 1 + placement.cores,
        Peer::Lighttpd => 1,
        Peer::ApachePrefork => 1 + places,
        Peer::ApacheWorker | Peer::ApacheEvent => {
            let (processes, threads) = processes_and_threads(places);
            processes * threads
        }
    }
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SYSTEM_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| {
            rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file()
        })
}

fn folder_with(folders: &[&str], file: &str) -> Option<PathBuf> {
    folders.iter().map(PathBuf::from).find(|folder| folder.join(file).is_file())
}

/// The first word that reads like `nginx/1.26.3`, on either output.
fn version(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("-v").output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let is_version = |word: &&str| {
        word.split_once('/').is_some_and(|(name, version)| {
            !name.is_empty() && version.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    text.split_whitespace().find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(account: Option<(String, String)>) -> Placement {
        Placement {
            dir: "/scratch/dir".to_owned(),
            root: "/scratch/root".to_owned(),
            port: "4711".to_owned(),
            upstream: Some("4712".to_owned()),
            account,
            connections: 100,
            cores: 1,
            descriptors: 20_000,
        }
    }

    fn installed(peer: Peer) -> Installed {
        Installed {
            peer,
            version: None,
            binary: "/opt/server".into(),
            modules: Some("/opt/modules".into()),
        }
    }

    #[test]
    fn a_proxy_keeps_its_connections_to_the_threads() {
        let text = installed(Peer::NginxThreaded).configuration(&placement(None)).unwrap();
        for part in [
            "server 127.0.0.1:4712;",
            "keepalive 133;",
            "worker_connections 522;",
            "listen 127.0.0.1:4711 ",
            "proxy_http_version 1.1;",
            "client_max_body_size 0;",
        ] {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
        assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
        let kept = installed(Peer::NginxThreaded).kept_configuration(&placement(None)).unwrap();
        assert!(kept.contains("127.0.0.1:{upstream};") && !kept.contains("/scratch"), "{kept}");
        assert!(!Peer::ALONE.contains(&Peer::NginxThreaded));
    }

    #[test]
    fn configurations_name_port_folders_and_enough_workers() {
        let account = Some(("www".to_owned(), "web".to_owned()));
        for (peer, expected) in [
            (Peer::Nginx, "worker_processes 1;"),
            (Peer::ApachePrefork, "StartServers 133"),
            (Peer::ApacheWorker, "MaxRequestWorkers 133"),
            (Peer::ApacheEvent, "AsyncRequestWorkerFactor 2"),
            (Peer::Lighttpd, "webdav.activate = \"enable\""),
        ] {
            let text = installed(peer).configuration(&placement(account.clone())).unwrap();
            for part in [expected, "4711", "/scratch/dir/", "/scratch/root", "www", "web"] {
                assert!(text.contains(part), "{peer}: no {part} in\n{text}");
            }
            assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
            let text = installed(peer).configuration(&placement(None)).unwrap();
            for line in text.lines().map(str::to_ascii_lowercase) {
                assert!(!line.starts_with("user ") && !line.starts_with("server.username"));
            }
        }
    }

    #[test]
    fn many_connections_are_spread_over_processes() {
        assert_eq!(processes_and_threads(88), (1, 88));
        assert_eq!(processes_and_threads(512), (1, 512));
        assert_eq!(processes_and_threads(2000), (4, 500));
    }

    #[test]
    fn what_is_kept_names_nothing_of_this_machine() {
        for peer in Peer::ALONE {
            let text = installed(peer).kept_configuration(&placement(None)).unwrap();
            assert!(!text.contains("/scratch") && !text.contains("/opt"), "{text}");
            assert!(text.contains("{root}") && text.contains("{port}"), "{text}");
        }
    }

    #[test]
    fn peers_are_found_by_their_names_alone() {
        for peer in Peer::ALL {
            assert_eq!(peer.name().parse(), Ok(peer));
            assert!(peer.hint().contains("install-peers.sh"));
        }
        let message = "apache".parse::<Peer>().unwrap_err().to_string();
        assert!(message.contains("'apache'") && message.contains("apache-event"), "{message}");
    }
}
