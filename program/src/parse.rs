//! Arguments of the process.

use std::ffi::OsString;

use clap::{ArgMatches, Command};

use crate::description::Program;
use crate::environment::{naming_variable, with_variables};

impl Program {
    /// Parses the words of the command line; ends the process after `--help` and after an error.
    pub fn matches(&self, command: Command, words: &[OsString]) -> ArgMatches {
        let first = words.get(1);
        let has_subcommand = first.is_some_and(|word| command.find_subcommand(word).is_some());
        let mut command = self.with_sections(self.with_flags(command));
        // The parser would refuse an invalid variable even if only a subcommand runs.
        if !has_subcommand {
            command = with_variables(command, self.variables);
        }
        let matches = command.try_get_matches_from_mut(words);
        matches.unwrap_or_else(|error| {
            command.build();
            naming_variable(error, &command, words).exit()
        })
    }
}
