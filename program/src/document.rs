//! Subcommands that describe a program to shells and to `man`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, Subcommand};
use clap_complete::Shell;

use crate::description::Program;
use crate::environment::with_variables;
use crate::exit::UNUSABLE;
use crate::message::print_error;
use crate::{VERSION, man};

/// Subcommands that describe a program to shells and to `man`.
#[derive(Debug, Clone, Subcommand)]
pub enum Document {
    /// Print the completions of a shell
    #[command(
        after_help = "Save the output in a file that the shell reads at its start, for example:
  bash  ~/.local/share/bash-completion/completions/PROGRAM
  zsh   _PROGRAM, in a folder of $fpath
  fish  ~/.config/fish/completions/PROGRAM.fish"
    )]
    Completions {
        /// Shell
        shell: Shell,
    },
    /// Write man pages, one for the program and one for each subcommand
    #[command(
        after_help = "A page is read by its path, `man FOLDER/PROGRAM.1`, or by its name if the folder is one of
`manpath`, such as ~/.local/share/man/man1."
    )]
    Man {
        /// Folder of the pages, created if it is missing
        folder: PathBuf,
    },
}

impl Program {
    /// Executes a subcommand for a program with these arguments; the exit code is for the calling
    /// process.
    pub fn document(&self, document: &Document, command: Command) -> ExitCode {
        let text = match document {
            Document::Completions { shell } => Ok(self.completions(*shell, &command)),
            Document::Man { folder } => self.write_man_pages(folder, command),
        };
        match text {
            Ok(text) => {
                // A closed standard output (`| head -1`) is not a failure.
                let _ = io::stdout().write_all(&text);
                ExitCode::SUCCESS
            }
            Err(error) => {
                print_error(format_args!("{error:#}"));
                ExitCode::from(UNUSABLE)
            }
        }
    }

    fn completions(&self, shell: Shell, command: &Command) -> Vec<u8> {
        // The generators would offer hidden subcommands.
        let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
        let command = Command::new(self.name)
            .version(VERSION)
            .disable_help_subcommand(command.is_disable_help_subcommand_set())
            .args(command.get_arguments())
            .groups(command.get_groups())
            .subcommands(shown);
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut self.with_flags(command), self.name, &mut script);
        script
    }

    fn write_man_pages(&self, folder: &Path, command: Command) -> anyhow::Result<Vec<u8>> {
        let command = with_variables(self.with_flags(command), self.variables);
        let pages = man::pages(self, command).context("cannot compose the man pages")?;
        std::fs::create_dir_all(folder).with_context(|| {
            format!("cannot create {}: choose another folder", folder.display())
        })?;
        let mut written = String::new();
        for (name, page) in pages {
            let path = folder.join(name);
            let shown = path.display();
            std::fs::write(&path, page)
                .with_context(|| format!("cannot write {shown}: choose another folder"))?;
            written += &format!("{shown}\n");
        }
        Ok(written.into_bytes())
    }
}
