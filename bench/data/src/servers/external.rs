//! Servers that the user brings: a command to start, or one that runs already.

use anyhow::{Context, bail, ensure};
use fileserver::StrategyKind;
use serde::{Deserialize, Serialize};

use crate::servers::reference::ReferenceServer;

/// A server of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct ExternalServer {
    name: String,
    how: How,
}

/// How it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum How {
    /// Started for each trial; `{port}` and `{root}` in its words are replaced.
    Command(String),
    /// It runs already, here: host and port.
    Running {
        /// Host and port.
        authority: String,
        /// Its process, if that is known: only then it can be watched.
        pid: Option<u32>,
    },
}

/// As a plan spells it.
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
    /// A server under a name: `run` is a command with `{port}` in it, or `http://host:port`.
    ///
    /// # Errors
    /// A name that means something else or is hard to write, a command without `{port}` or with
    /// unbalanced quotes, an address with more than host and port.
    pub fn new(name: &str, run: &str, pid: Option<u32>) -> anyhow::Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(plain),
            "'{name}' is no name for a server: use letters, digits and . _ -"
        );
        let taken = StrategyKind::ALL.iter().any(|kind| kind.name() == name)
            || ReferenceServer::ALL.iter().any(|peer| peer.name() == name);
        ensure!(!taken, "'{name}' is the name of a server that bench knows: choose another");
        let how = if let Some(rest) = run.strip_prefix(SCHEME) {
            How::Running { authority: authority(run, rest)?, pid }
        } else {
            ensure!(!run.starts_with("https://"), "'{run}': there is no TLS here, use {SCHEME}");
            ensure!(pid.is_none(), "{name} is started by its command, so it has no pid yet");
            let words = shlex::split(run).with_context(|| format!("'{run}' has an open quote"))?;
            ensure!(
                words.len() > 1 && words.iter().any(|word| word.contains("{port}")),
                "'{run}' is no command with {{port}} in it, nor does it begin with {SCHEME}"
            );
            How::Command(run.to_owned())
        };
        Ok(Self { name: name.to_owned(), how })
    }

    /// Reads `name=command…` or `name=http://host:port`.
    ///
    /// # Errors
    /// As [`Self::new`], and without `=`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, run) = text
            .split_once('=')
            .with_context(|| format!("'{text}' is not name=command or name={SCHEME}host:port"))?;
        Self::new(name.trim(), run.trim(), None)
    }

    /// The same, watched through its process.
    ///
    /// # Errors
    /// It does not run already.
    pub fn with_pid(self, pid: u32) -> anyhow::Result<Self> {
        match self.how {
            How::Running { authority, .. } => {
                Ok(Self { name: self.name, how: How::Running { authority, pid: Some(pid) } })
            }
            How::Command(_) => bail!("--pid {}={pid}: bench starts that one itself", self.name),
        }
    }

    /// The name it goes by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is reached.
    pub fn how(&self) -> &How {
        &self.how
    }

    /// One line that explains it.
    pub fn description(&self) -> String {
        match &self.how {
            How::Command(command) => format!("Given: {command}"),
            How::Running { authority, pid: Some(pid) } => {
                format!("Given, runs at {authority} as process {pid}, not pinned")
            }
            How::Running { authority, pid: None } => {
                format!("Given, runs at {authority}; its processor time and memory are not known")
            }
        }
    }
}

impl How {
    /// The words of the command, with port and root in their places; none for what runs already.
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
        "'{run}' must be {SCHEME}host:port with nothing behind it"
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
            ("a=serve", "no command with {port}"),
            ("a=serve 'x {port}", "open quote"),
            ("a=https://h", "no TLS"),
            ("a=http://h/path", "nothing behind it"),
            ("selector=serve {port}", "choose another"),
            ("nginx=http://h", "choose another"),
            ("a b=serve {port}", "no name"),
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
