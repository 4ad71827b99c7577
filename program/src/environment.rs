//! Environment variables of the programs.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, Error};

/// First part of the names of all variables that set flags.
const PREFIXES: [&str; 2] = ["FILESERVER_", "BENCH_"];

/// Variables of colours and their meanings.
pub(crate) const COLORS: [(&str, &str); 3] = [
    ("NO_COLOR", "no colours, if set and not empty"),
    ("CLICOLOR_FORCE", "colours also where no terminal shows them, if set and not empty"),
    ("CLICOLOR", "no colours, if 0"),
];

/// Environment variable that sets a flag.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Name of the variable.
    pub name: &'static str,
    /// Identifier of the flag's argument, in every subcommand that has it.
    pub argument: &'static str,
}

/// Lets variables set the arguments of a command.
pub(crate) fn with_variables(command: Command, variables: &[Variable]) -> Command {
    command.mut_args(|arg| match variables.iter().find(|one| arg.get_id() == one.argument) {
        // Help and man pages do not depend on the place where they are written.
        Some(variable) => arg.env(variable.name).hide_env_values(true),
        None => arg,
    })
}

/// Names the variable in an error about its value. The command has been built.
pub(crate) fn naming_variable(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let is_meant = |arg: &&Arg| arg.get_env().is_some() && arg.to_string() == *shown;
    let Some(arg) = commands.flat_map(Command::get_arguments).find(is_meant) else {
        return error;
    };
    if !is_given(arg, words)
        && let Some(name) = arg.get_env()
    {
        let named = format!("{}, the environment variable of {shown}", name.display());
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

/// Returns true if the flag itself is on the command line, so that its variable has no effect.
fn is_given(arg: &Arg, words: &[OsString]) -> bool {
    let is_flag = |word: &OsString| {
        let flag = word.to_str().and_then(|word| word.strip_prefix("--"));
        flag.is_some_and(|flag| flag.split('=').next() == arg.get_long())
    };
    words.iter().any(is_flag)
}

/// Keeps settings of the surroundings away from a process whose settings are its arguments, and
/// whose output goes to files: variables that set flags, and colours.
pub fn isolate(command: &mut std::process::Command) -> &mut std::process::Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env("NO_COLOR", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_variable_unless_the_flag_is_given() {
        let variables = [Variable { name: "FILESERVER_SOME", argument: "some" }];
        let arg = Arg::new("some").long("some").value_parser(["a", "b"]);
        let mut command = with_variables(Command::new("p").arg(arg), &variables);
        command.build();
        for (words, expected) in [
            // The value of the variable itself cannot be set within a test.
            (&["p"][..], "for 'FILESERVER_SOME, the environment variable of --some <some>'"),
            (&["p", "--some", "x"], "for '--some <some>'"),
            (&["p", "--some=x"], "for '--some <some>'"),
        ] {
            let error = command.clone().try_get_matches_from(["p", "--some", "x"]).unwrap_err();
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            let text = naming_variable(error, &command, &words).to_string();
            assert!(text.contains(expected) && text.contains("[possible values: a, b]"), "{text}");
        }
    }
}
