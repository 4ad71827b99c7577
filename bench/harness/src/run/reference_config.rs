//! Reference servers: location, version and configuration.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use minijinja::Environment as Templates;
use minijinja::value::Serde;
use serde::Serialize;

use bench_data::servers::reference::ReferenceServer;

use crate::run::request_counter::RequestCounter;

/// Reference server installed on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Server.
    pub peer: ReferenceServer,
    /// Name and version as the program prints them, such as `nginx/1.26.3`.
    pub version: Option<String>,
    binary: PathBuf,
    /// Folder of loadable modules, if any.
    modules: Option<PathBuf>,
    /// True if it counts requests, which [`crate::run::request_counter`] reads.
    counts: bool,
}

/// Parameters of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Folder of everything except the served files.
    pub dir: String,
    /// Folder of the served files.
    pub root: String,
    /// Port on the loopback interface.
    pub port: String,
    /// Port of the server behind a proxy.
    pub upstream: Option<String>,
    /// User and group of the workers if the server is started as root.
    pub account: Option<(String, String)>,
    /// Number of connections of the load.
    pub connections: usize,
    /// True if the load has uploads: only then is WebDAV enabled.
    pub uploads: bool,
    /// Number of cores of the server.
    pub cores: usize,
    /// Limit of open files of a process.
    pub descriptors: u64,
}

/// Values of a template.
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
    uploads: bool,
    counts: bool,
}

/// Maximum number of threads per Apache process. Below it one process has a thread for every
/// connection: the event MPM closes idle connections of a process whose threads are all busy, and
/// the kernel distributes connections unevenly.
const MOST_THREADS_PER_PROCESS: usize = 512;

/// Folders of servers in distributions, in addition to `PATH`.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin"];

/// Folders of Apache's modules in distributions.
const APACHE_MODULES: [&str; 6] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/libexec/apache2",
    "/usr/local/apache2/modules",
    "/usr/local/libexec/apache24",
];

/// Folders of lighttpd's modules in distributions.
const LIGHTTPD_MODULES: [&str; 3] =
    ["/usr/lib/lighttpd", "/usr/lib64/lighttpd", "/usr/local/lib/lighttpd"];

impl Installed {
    /// Finds a reference server on this machine.
    pub fn find(peer: ReferenceServer) -> Option<Self> {
        let names: &[&str] = match peer {
            ReferenceServer::Nginx | ReferenceServer::NginxThreaded => &["nginx"],
            ReferenceServer::ApachePrefork
            | ReferenceServer::ApacheWorker
            | ReferenceServer::ApacheEvent => &["apache2", "httpd"],
            ReferenceServer::Lighttpd => &["lighttpd"],
        };
        let binary = names.iter().find_map(|name| program(name))?;
        let modules = match (peer, mpm(peer)) {
            (ReferenceServer::Lighttpd, _) => folder_with(&LIGHTTPD_MODULES, "mod_webdav.so"),
            (_, None) => None,
            // Without the module of its MPM it counts as missing.
            (_, Some(mpm)) => Some(folder_with(&APACHE_MODULES, &format!("mod_mpm_{mpm}.so"))?),
        };
        let counts = peer == ReferenceServer::Nginx && has_status_module(&binary);
        Some(Self { peer, version: version(&binary), binary, modules, counts })
    }

    /// Reader of its own count of requests, if it has one; `dir` is the folder of its own files.
    pub fn request_counter(&self, dir: &Path) -> Option<RequestCounter> {
        self.counts.then(|| RequestCounter::at(dir.join("status.sock")))
    }

    /// Configuration with these parameters.
    ///
    /// # Errors
    /// The template does not fit its values.
    pub fn configuration(&self, placement: &Placement) -> Result<String, minijinja::Error> {
        self.render(placement, self.modules.as_ref().map(|path| path.display().to_string()))
    }

    /// Configuration for the results folder, with `{dir}`, `{root}`, `{port}` and `{modules}` instead of
    /// the paths of this machine.
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
        let webdav = match placement.uploads {
            true => " WebDAV only under uploads.",
            false => "",
        };
        Ok(format!(
            "# As it ran under {} connections; with others, workers and limits follow their \
             number.{webdav}\n{}",
            placement.connections,
            self.render(&placement, modules)?
        ))
    }

    /// Command that starts it in the foreground with a configuration.
    pub fn command(&self, configuration: &Path, error_log: &Path) -> Vec<OsString> {
        let words: Vec<OsString> = match self.peer {
            ReferenceServer::Nginx | ReferenceServer::NginxThreaded => {
                vec!["-c".into(), configuration.into(), "-e".into(), error_log.into()]
            }
            ReferenceServer::ApachePrefork
            | ReferenceServer::ApacheWorker
            | ReferenceServer::ApacheEvent => {
                vec!["-f".into(), configuration.into(), "-D".into(), "FOREGROUND".into()]
            }
            ReferenceServer::Lighttpd => vec!["-D".into(), "-f".into(), configuration.into()],
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
        // A proxy has two connections per connection of the load.
        let sides = if self.peer == ReferenceServer::NginxThreaded { 2 } else { 1 };
        let values = Values {
            dir: &placement.dir,
            root: &placement.root,
            port: &placement.port,
            upstream: placement.upstream.as_deref(),
            user: account.map(|(user, _)| user.as_str()),
            group: account.map(|(_, group)| group.as_str()),
            mpm: mpm(self.peer),
            // For lighttpd, WebDAV is a module that may not be installed.
            uploads: placement.uploads
                && (self.peer != ReferenceServer::Lighttpd || modules.is_some()),
            modules,
            // Event loops count listening and internal descriptors as connections.
            connections: places * sides + if mpm(self.peer).is_none() { 256 } else { 0 },
            places,
            threads,
            processes,
            workers: placement.cores,
            counts: self.counts,
            descriptors: placement.descriptors,
        };
        let templates = Templates::new();
        // Rendering omits the last newline of the template.
        Ok(templates.render_named_str("peer.conf", template(self.peer), Serde(&values))? + "\n")
    }
}

fn mpm(server: ReferenceServer) -> Option<&'static str> {
    match server {
        ReferenceServer::Nginx | ReferenceServer::Lighttpd | ReferenceServer::NginxThreaded => None,
        ReferenceServer::ApachePrefork => Some("prefork"),
        ReferenceServer::ApacheWorker => Some("worker"),
        ReferenceServer::ApacheEvent => Some("event"),
    }
}

fn template(server: ReferenceServer) -> &'static str {
    match server {
        ReferenceServer::Nginx => include_str!("../../reference-servers/nginx.conf"),
        ReferenceServer::ApachePrefork
        | ReferenceServer::ApacheWorker
        | ReferenceServer::ApacheEvent => {
            include_str!("../../reference-servers/apache.conf")
        }
        ReferenceServer::Lighttpd => include_str!("../../reference-servers/lighttpd.conf"),
        ReferenceServer::NginxThreaded => {
            include_str!("../../reference-servers/nginx-threaded.conf")
        }
    }
}

/// Number of workers for a number of connections that each occupy a process or a thread: a quarter
/// more, so that closing connections of the last load do not delay new ones.
pub(crate) fn places(connections: usize) -> usize {
    connections + connections / 4 + 8
}

/// Number of processes and of threads per process for a number of workers.
fn processes_and_threads(places: usize) -> (usize, usize) {
    let processes = places.div_ceil(MOST_THREADS_PER_PROCESS);
    (processes, places.div_ceil(processes))
}

/// Number of threads at which a server counts as ready.
pub fn threads_when_ready(server: ReferenceServer, placement: &Placement) -> usize {
    let places = places(placement.connections);
    match server {
        ReferenceServer::Nginx | ReferenceServer::NginxThreaded => 1 + placement.cores,
        ReferenceServer::Lighttpd => 1,
        ReferenceServer::ApachePrefork => 1 + places,
        ReferenceServer::ApacheWorker | ReferenceServer::ApacheEvent => {
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

/// Returns true if this nginx was built with its module `stub_status`.
fn has_status_module(binary: &Path) -> bool {
    let output = Command::new(binary).arg("-V").output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stderr).contains("http_stub_status_module")
    })
}

/// First word of the form `nginx/1.26.3` on standard output or standard error.
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
            uploads: true,
            cores: 1,
            descriptors: 20_000,
        }
    }

    fn installed(peer: ReferenceServer) -> Installed {
        Installed {
            peer,
            version: None,
            binary: "/opt/server".into(),
            modules: Some("/opt/modules".into()),
            counts: true,
        }
    }

    #[test]
    fn a_proxy_keeps_its_connections_to_the_threads() {
        let text =
            installed(ReferenceServer::NginxThreaded).configuration(&placement(None)).unwrap();
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
        let kept =
            installed(ReferenceServer::NginxThreaded).kept_configuration(&placement(None)).unwrap();
        assert!(kept.contains("127.0.0.1:{upstream};") && !kept.contains("/scratch"), "{kept}");
        assert!(!ReferenceServer::ALONE.contains(&ReferenceServer::NginxThreaded));
    }

    #[test]
    fn configurations_name_port_folders_and_enough_workers() {
        let account = Some(("www".to_owned(), "web".to_owned()));
        for (peer, expected) in [
            (ReferenceServer::Nginx, "worker_processes 1;"),
            (ReferenceServer::ApachePrefork, "StartServers 133"),
            (ReferenceServer::ApacheWorker, "MaxRequestWorkers 133"),
            (ReferenceServer::ApacheEvent, "AsyncRequestWorkerFactor 2"),
            (ReferenceServer::Lighttpd, "webdav.activate = \"enable\""),
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
    fn webdav_is_enabled_for_uploads_only() {
        for peer in ReferenceServer::ALONE {
            let with = |uploads| {
                let placement = Placement { uploads, ..placement(None) };
                installed(peer).configuration(&placement).unwrap().to_ascii_lowercase()
            };
            let (uploads, downloads) = (with(true), with(false));
            assert!(uploads.contains("dav") && !downloads.contains("dav"), "{peer}: {downloads}");
            let rest = |text: &str| -> Vec<String> {
                text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
            };
            let both = rest(&uploads);
            assert!(rest(&downloads).iter().all(|line| both.contains(line)), "{peer}: {downloads}");
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
        for peer in ReferenceServer::ALONE {
            let text = installed(peer).kept_configuration(&placement(None)).unwrap();
            assert!(!text.contains("/scratch") && !text.contains("/opt"), "{text}");
            assert!(text.contains("{root}") && text.contains("{port}"), "{text}");
        }
    }

    #[test]
    fn peers_are_found_by_their_names_alone() {
        for peer in ReferenceServer::ALL {
            assert_eq!(peer.name().parse(), Ok(peer));
            assert!(peer.hint().contains("install-reference-servers.sh"));
        }
        let message = "apache".parse::<ReferenceServer>().unwrap_err().to_string();
        assert!(message.contains("'apache'") && message.contains("apache-event"), "{message}");
    }
}
