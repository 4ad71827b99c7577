//! Reference servers: nginx, Apache httpd and lighttpd.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Reference server, as packaged by distributions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReferenceServer {
    /// nginx.
    Nginx,
    /// Apache httpd, a process per connection.
    ApachePrefork,
    /// Apache httpd, a thread per connection.
    ApacheWorker,
    /// Apache httpd, a thread for each connection with a request in progress.
    ApacheEvent,
    /// lighttpd.
    Lighttpd,
    /// nginx as a proxy of the built-in server with the strategy `threaded`.
    NginxThreaded,
}

/// Name of no reference server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown server '{0}': choose from {names}, all", names = ReferenceServer::ALL.map(ReferenceServer::name).join(", "))]
pub struct UnknownReferenceServer(String);

impl ReferenceServer {
    /// Servers that `all` stands for: those that serve files themselves.
    pub const ALONE: [Self; 5] =
        [Self::Nginx, Self::ApachePrefork, Self::ApacheWorker, Self::ApacheEvent, Self::Lighttpd];

    /// All reference servers.
    pub const ALL: [Self; 6] = [
        Self::Nginx,
        Self::ApachePrefork,
        Self::ApacheWorker,
        Self::ApacheEvent,
        Self::Lighttpd,
        Self::NginxThreaded,
    ];

    /// Name in flags, records and charts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::ApachePrefork => "apache-prefork",
            Self::ApacheWorker => "apache-worker",
            Self::ApacheEvent => "apache-event",
            Self::Lighttpd => "lighttpd",
            Self::NginxThreaded => "nginx-threaded",
        }
    }

    /// Description in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Nginx => "nginx: one event loop per core",
            Self::ApachePrefork => "Apache httpd: a process per connection",
            Self::ApacheWorker => "Apache httpd: a thread per connection",
            Self::ApacheEvent => {
                "Apache httpd: a thread only for a connection with a request in progress"
            }
            Self::Lighttpd => "lighttpd: one event loop",
            Self::NginxThreaded => "nginx as a proxy of the built-in threaded server",
        }
    }

    /// Message about a missing server, with the remedy.
    pub fn hint(self) -> String {
        format!(
            "{}: not installed; scripts/install-reference-servers.sh installs it on Debian",
            self.name()
        )
    }
}

impl fmt::Display for ReferenceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReferenceServer {
    type Err = UnknownReferenceServer;

    fn from_str(name: &str) -> Result<Self, UnknownReferenceServer> {
        let known = Self::ALL.into_iter().find(|server| server.name() == name);
        known.ok_or_else(|| UnknownReferenceServer(name.to_owned()))
    }
}

impl TryFrom<String> for ReferenceServer {
    type Error = UnknownReferenceServer;

    fn try_from(name: String) -> Result<Self, UnknownReferenceServer> {
        name.parse()
    }
}

impl From<ReferenceServer> for String {
    fn from(server: ReferenceServer) -> Self {
        server.name().to_owned()
    }
}
