//! Description of a program.

use clap::{Arg, Command};

use crate::color;
use crate::environment::{COLORS, Variable, with_variables};
use crate::exit::ExitCodes;

/// Description of a program, in addition to its arguments.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Name of the program.
    pub name: &'static str,
    /// Meanings of its exit codes.
    pub exit_codes: ExitCodes,
    /// Environment variables that set flags.
    pub variables: &'static [Variable],
    /// Names and meanings of other environment variables that it reads.
    pub other_variables: &'static [(&'static str, &'static str)],
}

impl Program {
    /// The command with the flags that all programs have, and with the variables of its subcommands.
    pub(crate) fn with_flags(&self, command: Command) -> Command {
        command.arg(color::flag()).mut_subcommands(|one| match one.is_hide_set() {
            // The program itself runs them.
            true => one,
            false => with_variables(one, self.variables),
        })
    }

    /// Appends exit codes and environment variables to the help of a command.
    #[must_use]
    pub fn with_sections(&self, command: Command) -> Command {
        let before = command.get_after_help().map(|text| format!("{text}\n\n"));
        let codes = self.exit_codes.all().map(|(code, meaning)| format!("{code} {meaning}"));
        let mut text = format!(
            "{}Exit codes: {}.\n\nEnvironment variables:",
            before.unwrap_or_default(),
            codes.join("; ")
        );
        let commands = || std::iter::once(&command).chain(command.get_subcommands());
        for variable in self.variables {
            let mut arguments = commands().flat_map(Command::get_arguments);
            if let Some(arg) = arguments.find(|arg| arg.get_id() == variable.argument) {
                text += &format!("\n  {}: {}", variable.name, meaning(arg));
            }
        }
        for (name, meaning) in self.other_variables.iter().chain(&COLORS) {
            text += &format!("\n  {name}: {meaning}");
        }
        command.after_help(text)
    }
}

/// Meaning of the variable of an argument.
pub(crate) fn meaning(arg: &Arg) -> String {
    format!("--{}, which wins over it", arg.get_long().unwrap_or_default())
}
