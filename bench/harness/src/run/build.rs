//! Other builds of the built-in server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use program::environment::isolate;

/// Program that contains the built-in server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    program: PathBuf,
    /// True for `bench`, which has the server as a subcommand; false for `server`.
    is_bench: bool,
}

impl Build {
    /// Build at a path, recognized by its answer to `--version`.
    ///
    /// # Errors
    /// The file cannot be executed, or is neither `server` nor `bench`.
    pub(crate) fn of(program: &Path) -> anyhow::Result<Self> {
        let shown = program.display();
        let program = program.canonicalize().with_context(|| format!("cannot find {shown}"))?;
        let answer = isolate(&mut Command::new(&program)).arg("--version").output();
        let answer = answer.with_context(|| format!("cannot execute {shown}"))?.stdout;
        let is_bench = is_bench(&String::from_utf8_lossy(&answer))
            .with_context(|| format!("{shown} is neither a build of server nor of bench"))?;
        Ok(Self { program, is_bench })
    }

    /// Command that starts the server.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if self.is_bench {
            command.arg("serve");
        }
        command
    }
}

/// Returns true for the version of `bench`, false for that of `server`, and `None` for others.
fn is_bench(version: &str) -> Option<bool> {
    match version.split_whitespace().next()? {
        "bench" => Some(true),
        "server" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_recognized_by_its_version() {
        assert_eq!(is_bench("bench 0.1.0\n"), Some(true));
        assert_eq!(is_bench("server 0.1.0\n"), Some(false));
        assert_eq!((is_bench("nginx 1.26"), is_bench("")), (None, None));
        let other = Build::of(Path::new("/bin/true")).unwrap_err().to_string();
        assert!(other.contains("/bin/true is neither a build of server nor of bench"), "{other}");
        let missing = Build::of(Path::new("/no/such/build")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot find /no/such/build"), "{missing}");
    }

    #[test]
    fn bench_has_the_server_as_a_subcommand() {
        let first_word = |is_bench| {
            let command = Build { program: "build".into(), is_bench }.command();
            command.get_args().next().map(|word| word.to_str().unwrap().to_owned())
        };
        assert_eq!((first_word(true), first_word(false)), (Some("serve".to_owned()), None));
    }
}
