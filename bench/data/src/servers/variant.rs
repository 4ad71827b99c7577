//! Variants: strategies with other flags, of another build, or repeated as an A/A control, under
//! another name.

use std::path::{Path, PathBuf};

use clap::Parser;
use fileserver::cli::ServerArgs;
use fileserver::{StrategyKind, UnknownStrategy};
use serde::{Deserialize, Serialize};

use crate::load::store::Durability;
use crate::servers::reference::ReferenceServer;

/// Suffix of the name of an A/A control.
pub(crate) const AGAIN: &str = "-again";

/// Strategy with further flags, of another build, or an A/A control.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Variant {
    name: String,
    strategy: StrategyKind,
    flags: Vec<String>,
    /// Program in place of this one.
    program: Option<PathBuf>,
    is_aa_control: bool,
}

/// Form in plans.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    run: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    program: Option<PathBuf>,
}

impl Variant {
    /// Variant with a name; `run` is a strategy with further flags, such as `selector --send-path copy`.
    ///
    /// # Errors
    /// A name that is taken or has special characters, an unknown strategy, or unknown flags.
    pub fn new(name: &str, run: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("invalid variant name '{name}': use letters, digits and . _ -"));
        }
        if StrategyKind::ALL.iter().any(|kind| kind.name() == name)
            || ReferenceServer::ALL.iter().any(|peer| peer.name() == name)
        {
            return Err(format!(
                "'{name}' is the name of a built-in or reference server: choose another"
            ));
        }
        let words = shlex::split(run).ok_or_else(|| format!("'{run}': unbalanced quotes"))?;
        let (strategy, flags) = words
            .split_first()
            .ok_or_else(|| format!("{name}: write a strategy and its flags after ="))?;
        let strategy = strategy.parse().map_err(|error: UnknownStrategy| error.to_string())?;
        for taken in ["--strategy", "--listen", "--root"] {
            if flags.iter().any(|flag| flag.split('=').next() == Some(taken)) {
                return Err(format!("{name}: {taken} is set by bench; remove it"));
            }
        }
        understood(flags).map_err(|error| format!("{name}: {error}"))?;
        let (name, flags) = (name.to_owned(), flags.to_vec());
        Ok(Self { name, strategy, flags, program: None, is_aa_control: false })
    }

    /// The variant as another build runs it: the program `server` or `bench` at `program`.
    #[must_use]
    pub fn of_build(self, program: PathBuf) -> Self {
        Self { program: Some(program), ..self }
    }

    /// Parses `name=strategy --flag…`.
    ///
    /// # Errors
    /// As of [`Self::new`], and a text without `=`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, run) = text
            .split_once('=')
            .ok_or_else(|| format!("'{text}' is not NAME='STRATEGY --flag …'"))?;
        Self::new(name.trim(), run.trim())
    }

    /// The A/A control of a strategy: the same server under a second name.
    pub fn aa_control(strategy: StrategyKind) -> Self {
        let name = format!("{}{AGAIN}", strategy.name());
        Self { name, strategy, flags: Vec::new(), program: None, is_aa_control: true }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Strategy.
    pub fn strategy(&self) -> StrategyKind {
        self.strategy
    }

    /// Durability that its flags choose.
    pub fn durability(&self) -> Option<Durability> {
        let mut flags = self.flags.iter();
        let flag = flags.find_map(|flag| flag.strip_prefix("--durability"))?;
        let value = flag.strip_prefix('=').or_else(|| flags.next().map(String::as_str))?;
        Durability::named(value)
    }

    /// Further flags of the server.
    pub fn flags(&self) -> &[String] {
        &self.flags
    }

    /// Program in place of the one that measures.
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// Returns true if it is an A/A control.
    pub fn is_aa_control(&self) -> bool {
        self.is_aa_control
    }

    /// Reason why its flags do not fit its strategy, with the remedy.
    pub fn obstacle(&self) -> Option<String> {
        let arguments = ServerArgs { strategy: self.strategy, ..understood(&self.flags).ok()? };
        let obstacle = arguments.check_strategy().err()?;
        Some(format!("variant {}: {obstacle}", self.name))
    }

    /// Description in one line.
    pub fn description(&self) -> String {
        let strategy = self.strategy.name();
        if self.is_aa_control {
            return format!(
                "A/A control: {strategy} measured a second time, to estimate the noise"
            );
        }
        let mut text = strategy.to_owned();
        if !self.flags.is_empty() {
            text += &format!(" with {}", self.flags.join(" "));
        }
        if let Some(program) = &self.program {
            text += &format!(" of {}", program.display());
        }
        text
    }
}

/// Flags of the server, checked before the first trial.
fn understood(flags: &[String]) -> Result<ServerArgs, String> {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Server {
        #[command(flatten)]
        arguments: ServerArgs,
    }
    Server::try_parse_from(flags).map(|server| server.arguments).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or("unknown flags").to_owned()
    })
}

impl TryFrom<Written> for Variant {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let variant = Self::new(&written.name, &written.run)?;
        Ok(Self { program: written.program, ..variant })
    }
}

impl From<Variant> for Written {
    fn from(variant: Variant) -> Self {
        let words = std::iter::once(variant.strategy.name())
            .chain(variant.flags.iter().map(String::as_str));
        // The words were split by the same rules.
        let run = shlex::try_join(words).unwrap_or_default();
        Self { name: variant.name, run, program: variant.program }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_a_name_a_strategy_and_flags() {
        let variant = Variant::parse("small='x").unwrap_err();
        assert!(variant.contains("unbalanced quotes"), "{variant}");
        let variant = Variant::parse("four=multi-selector --accept dispatch --workers 4").unwrap();
        assert_eq!((variant.name(), variant.strategy()), ("four", StrategyKind::MultiSelector));
        assert_eq!(variant.flags(), ["--accept", "dispatch", "--workers", "4"]);
        for variant in [variant.clone(), variant.of_build("builds/server".into())] {
            let written = Written::from(variant.clone());
            assert_eq!(Variant::try_from(written), Ok(variant));
        }
    }

    #[test]
    fn what_cannot_run_is_refused_with_the_reason() {
        for (text, expected) in [
            ("selector", "is not NAME="),
            ("selector=threaded", "choose another"),
            ("a b=threaded", "invalid variant name"),
            ("x=epoll", "unknown strategy 'epoll'"),
            ("x=", "write a strategy"),
            ("x=selector --root /", "--root is set by bench"),
            ("x=selector --strategy=threaded", "--strategy is set by bench"),
            ("x=selector --fast", "'--fast'"),
        ] {
            let message = Variant::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn an_aa_control_is_the_plain_strategy_under_another_name() {
        let control = Variant::aa_control(StrategyKind::Selector);
        assert!(control.is_aa_control() && control.flags().is_empty());
        assert_eq!(
            (control.name(), control.strategy()),
            ("selector-again", StrategyKind::Selector)
        );
    }
}
