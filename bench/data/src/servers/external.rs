//! External servers: started by a command, or already running.

use anyhow::{Context, bail, ensure};
use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

use crate::servers::reference::ReferenceServer;

/// External server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ExternalServer {
    name: String,
    how: How,
}

/// Way to reach an external server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum How {
    /// Command that starts it for each trial; `{port}` and `{root}` are replaced.
    Command(String),
    /// Already running.
    Running {
        /// Host and port.
        authority: String,
        /// Process id, if known; its resource usage is measured only then.
        pid: Option<u32>,
    },
}

/// Form in plans.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    run: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

const SCHEME: &str = "http://";

impl ExternalServer {
    /// External server with a name; `run` is a command containing `{port}`, or `http://host:port`.
    ///
    /// # Errors
    /// A name that is taken or has special characters, a command without `{port}` or with unbalanced
    /// quotes, an address with more than host and port.
    pub fn new(name: &str, run: &str, pid: Option<u32>) -> anyhow::Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(plain),
            "invalid server name '{name}': use letters, digits and . _ -"
        );
        let taken = StrategyKind::ALL.iter().any(|kind| kind.name() == name)
            || ReferenceServer::ALL.iter().any(|peer| peer.name() == name);
        ensure!(!taken, "'{name}' is the name of a built-in or reference server: choose another");
        let how = if let Some(rest) = run.strip_prefix(SCHEME) {
            How::Running { authority: authority(run, rest)?, pid }
        } else {
            ensure!(!run.starts_with("https://"), "'{run}': TLS is not supported; use {SCHEME}");
            ensure!(
                pid.is_none(),
                "{name}: a server started by a command has no pid yet; remove the pid"
            );
            let words = shlex::split(run).with_context(|| format!("'{run}': unbalanced quotes"))?;
            ensure!(
                words.len() > 1 && words.iter().any(|word| word.contains("{port}")),
                "'{run}' is neither a command containing {{port}} nor an {SCHEME} URL"
            );
            How::Command(run.to_owned())
        };
        Ok(Self { name: name.to_owned(), how })
    }

    /// Parses `name=command…` or `name=http://host:port`.
    ///
    /// # Errors
    /// As of [`Self::new`], and a text without `=`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, run) = text
            .split_once('=')
            .with_context(|| format!("'{text}' is not name=command or name={SCHEME}host:port"))?;
        Self::new(name.trim(), run.trim(), None)
    }

    /// Same server with a process id.
    ///
    /// # Errors
    /// The server is started by a command.
    pub fn with_pid(self, pid: u32) -> anyhow::Result<Self> {
        match self.how {
            How::Running { authority, .. } => {
                Ok(Self { name: self.name, how: How::Running { authority, pid: Some(pid) } })
            }
            How::Command(_) => {
                bail!("--pid {}={pid}: bench starts this server itself; remove --pid", self.name)
            }
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Way to reach an external server.
    pub fn how(&self) -> &How {
        &self.how
    }

    /// Description in one line.
    pub fn description(&self) -> String {
        match &self.how {
            How::Command(command) => format!("External: {command}"),
            How::Running { authority, pid: Some(pid) } => {
                format!("External, runs at {authority} as process {pid}, not pinned")
            }
            How::Running { authority, pid: None } => {
                format!("External, runs at {authority}; processor time and memory unknown")
            }
        }
    }
}

impl How {
    /// Words of the command with port and root filled in; `None` for a running server.
    pub fn words(&self, port: u16, root: &str) -> Option<Vec<String>> {
        let Self::Command(command) = self else { return None };
        let words = shlex::split(command)?;
        let port = port.to_string();
        Some(words.iter().map(|w| w.replace("{port}", &port).replace("{root}", root)).collect())
    }
}

impl TryFrom<Written> for ExternalServer {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(&written.name, &written.run, written.pid).map_err(|error| format!("{error:#}"))
    }
}

impl From<ExternalServer> for Written {
    fn from(given: ExternalServer) -> Self {
        let (run, pid) = match given.how {
            How::Command(command) => (command, None),
            How::Running { authority, pid } => (format!("{SCHEME}{authority}"), pid),
        };
        Self { name: given.name, run, pid }
    }
}

fn authority(run: &str, rest: &str) -> anyhow::Result<String> {
    let authority = rest.trim_end_matches('/');
    let after_bracket = authority.rsplit(']').next().unwrap_or(authority);
    ensure!(
        !authority.is_empty() && !authority.contains(['/', '?', '#', '@', ' ']),
        "'{run}': write {SCHEME}host:port without a path"
    );
    Ok(if after_bracket.contains(':') { authority.to_owned() } else { format!("{authority}:80") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_would() {
        let given = ExternalServer::parse("mine=serve --dir '{root}/a b' -p={port}").unwrap();
        let words = given.how().words(81, "/r").unwrap();
        assert_eq!(words, ["serve", "--dir", "/r/a b", "-p=81"]);
        assert_eq!(given.name(), "mine");
    }

    #[test]
    fn addresses_are_host_and_port() {
        for (text, expected) in [
            ("a=http://127.0.0.1:81/", "127.0.0.1:81"),
            ("a=http://localhost", "localhost:80"),
            ("a=http://[::1]:8", "[::1]:8"),
            ("a=http://[::1]", "[::1]:80"),
        ] {
            let given = ExternalServer::parse(text).unwrap().with_pid(7).unwrap();
            let How::Running { authority, pid } = given.how() else { panic!("{text}") };
            assert_eq!((authority.as_str(), *pid), (expected, Some(7)));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, expected) in [
            ("serve {port}", "is not name=command"),
            ("a=serve", "neither a command containing {port}"),
            ("a=serve 'x {port}", "unbalanced quotes"),
            ("a=https://h", "TLS is not supported"),
            ("a=http://h/path", "without a path"),
            ("selector=serve {port}", "choose another"),
            ("nginx=http://h", "choose another"),
            ("a b=serve {port}", "invalid server name"),
        ] {
            let message = format!("{:#}", ExternalServer::parse(text).unwrap_err());
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(ExternalServer::parse("a=serve {port}").unwrap().with_pid(1).is_err());
    }

    #[test]
    fn a_plan_spells_them_as_flags_do() {
        let text = "name = \"a\"\nrun = \"http://127.0.0.1:81\"\npid = 7\n";
        let given: ExternalServer = toml::from_str(text).unwrap();
        assert_eq!(toml::to_string(&given).unwrap(), text);
        assert!(toml::from_str::<ExternalServer>("name = \"a\"\nrun = \"x\"").is_err());
    }
}
