//! Man pages.

use std::io;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::VERSION;
use crate::description::{Program, meaning};
use crate::environment::COLORS;

/// File names and contents of the pages of a program and its visible subcommands.
pub(crate) fn pages(program: &Program, command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    std::iter::once(&command)
        .chain(shown(&command))
        .map(|one| {
            let man = Man::new(one.clone())
                // An empty argument. The usual one is no argument, and the next one would take its place.
                .date("\"\"")
                .source(format!("{} {VERSION}", program.name))
                .manual("Threads vs Selectors");
            Ok((man.get_filename(), page(program, one, &man)?))
        })
        .collect()
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|one| !one.is_hide_set())
}

fn page(program: &Program, command: &Command, man: &Man) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut own = Roff::new();
    own.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in program.exit_codes.all() {
        item(&mut own, &code.to_string(), meaning);
    }
    own.control("SH", ["ENVIRONMENT"]);
    let flags = command.get_arguments().filter_map(|arg| Some((arg.get_env()?, arg)));
    for (name, arg) in flags {
        item(&mut own, &name.to_string_lossy(), &meaning(arg));
    }
    for (name, meaning) in program.other_variables.iter().chain(&COLORS) {
        item(&mut own, name, meaning);
    }
    if let Some(notes) = command.get_after_help() {
        own.control("SH", ["NOTES"]);
        text(&mut own, &notes.to_string());
    }
    own.to_writer(&mut page)?;
    Ok(page)
}

/// An item of a list: a term and its meaning.
fn item(page: &mut Roff, term: &str, meaning: &str) {
    page.control("TP", []);
    page.text([bold(term)]);
    page.text([roman(meaning)]);
}

/// Paragraphs, and indented lines as they are.
fn text(page: &mut Roff, text: &str) {
    let mut is_verbatim = false;
    for line in text.lines() {
        let is_indented = line.starts_with("  ");
        if is_indented != is_verbatim {
            page.control(if is_indented { "nf" } else { "fi" }, []);
            is_verbatim = is_indented;
        }
        if line.is_empty() {
            page.control("PP", []);
        } else {
            page.text([roman(line)]);
        }
    }
    if is_verbatim {
        page.control("fi", []);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_keep_their_breaks() {
        let mut page = Roff::new();
        text(&mut page, "Examples:\n  a  b\n  c\n\nWords\ngo on.\n  d");
        let expected = "Examples:\n.nf\n  a  b\n  c\n.fi\n.PP\nWords\ngo on.\n.nf\n  d\n.fi\n";
        assert_eq!(page.to_roff(), expected);
    }
}
