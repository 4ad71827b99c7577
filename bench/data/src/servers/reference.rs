//! The reference servers of the comparison.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A real server, as Debian and others package it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ReferenceServer {
    /// nginx.
    Nginx,
    /// Apache httpd, a process per connection.
    ApachePrefork,
    /// Apache httpd, a thread per connection.
    ApacheWorker,
    /// Apache httpd, threads for the connections that have work.
    ApacheEvent,
    /// lighttpd.
    Lighttpd,
    /// nginx as a proxy for our own server with the strategy `threaded`.
    NginxThreaded,
}

/// A name that is no peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown server '{0}': choose from {names}, all", names = ReferenceServer::ALL.map(ReferenceServer::name).join(", "))]
pub struct UnknownReferenceServer(String);

impl ReferenceServer {
    /// Those that serve by themselves: what `all` stands for.
    pub const ALONE: [Self; 5] =
        [Self::Nginx, Self::ApachePrefork, Self::ApacheWorker, Self::ApacheEvent, Self::Lighttpd];

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Nginx,
        Self::ApachePrefork,
        Self::ApacheWorker,
        Self::ApacheEvent,
        Self::Lighttpd,
        Self::NginxThreaded,
    ];

    /// The one spelling used in flags, records and charts.
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

    /// One line that explains it.
    pub fn description(self) -> &'static str {
        match self {
            Self::Nginx => "The real nginx: one event loop per core",
            Self::ApachePrefork => "The real Apache httpd: a process per connection",
            Self::ApacheWorker => "The real Apache httpd: a thread per connection",
            Self::ApacheEvent => {
                "The real Apache httpd: threads for those connections that have work"
            }
            Self::Lighttpd => "The real lighttpd: one event loop",
            Self::NginxThreaded => "The real nginx as a proxy for our threaded server",
        }
    }

    /// What to say of one that is not there.
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
        let known = Self::ALL.into_iter().find(|peer| peer.name() == name);
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
    fn from(peer: ReferenceServer) -> Self {
        peer.name().to_owned()
    }
}
