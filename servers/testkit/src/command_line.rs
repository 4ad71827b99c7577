//! Checks of those parts of the command line that all programs share.

use std::fs;
use std::process::{Command, Output, Stdio};

use program::environment::isolate;

/// First byte of the sequences that colour a terminal.
const ESCAPE: u8 = 0x1b;

/// A program under test.
#[derive(Debug, Clone, Copy)]
pub struct ProgramUnderTest {
    /// Path of the program.
    pub path: &'static str,
    /// Name of the program.
    pub name: &'static str,
    /// One of the subcommands in its help.
    pub shown: &'static str,
    /// Subcommands that its help hides.
    pub hidden: &'static [&'static str],
}

impl ProgramUnderTest {
    /// Command that runs the program without variables of the surroundings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path);
        isolate(&mut command).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs the program with an environment; returns its output.
    pub fn run(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied()).output().expect("the program can be run")
    }

    /// Runs the program, which must refuse to start with exit code 2; returns its standard error.
    pub fn refusal(&self, environment: &[(&str, &str)], arguments: &[&str]) -> String {
        let output = self.run(environment, arguments);
        let text = String::from_utf8(output.stderr).expect("errors are UTF-8");
        assert_eq!(output.status.code(), Some(2), "{environment:?} {arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }

    /// Names of the subcommands in its help, except `help`.
    fn subcommands(&self) -> Vec<String> {
        let help = String::from_utf8(self.run(&[], &["-h"]).stdout).expect("the help is UTF-8");
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let names = list.take_while(|line| !line.is_empty()).filter_map(|line| {
            // Descriptions continue further to the right.
            let name = line.strip_prefix("  ")?.split(' ').next()?;
            Some(name.to_owned()).filter(|name| !name.is_empty() && name != "help")
        });
        let names: Vec<_> = names.collect();
        for expected in [self.shown, "completions", "man"] {
            assert!(names.iter().any(|name| name == expected), "no {expected} in {help}");
        }
        names
    }

    /// Checks that each shell gets a script with all subcommands but the hidden ones, and that bash
    /// completes the name of one.
    pub fn check_completions(&self) {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let output = self.run(&[], &["completions", shell]);
            assert_eq!(output.status.code(), Some(0), "{shell}: {output:?}");
            let script = String::from_utf8(output.stdout).expect("scripts are UTF-8");
            assert!(script.contains("--color") || script.contains("color"), "{shell}: {script}");
            for name in self.subcommands() {
                assert!(script.contains(&name), "{shell}: no {name} in {script}");
            }
            if shell == "bash" {
                // The scripts of other shells contain descriptions, in which the words may occur.
                let is_within = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let words: Vec<_> = script.split(|c| !is_within(c)).collect();
                for name in self.hidden {
                    assert!(!words.contains(name), "{name} in {script}");
                }
                self.check_bash(&script);
            }
        }
        let refused = self.refusal(&[], &["completions", "tcsh"]);
        assert!(refused.contains("tcsh") && refused.contains("powershell"), "{refused}");
    }

    fn check_bash(&self, script: &str) {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let path = folder.path().join("script");
        fs::write(&path, script).expect("the folder is writable");
        let complete = r#"source "$1"; COMP_WORDS=("$2" "$3"); COMP_CWORD=1
            "_$2" "$2" "$3" "$2"; printf '%s\n' "${COMPREPLY[@]}""#;
        for name in self.subcommands() {
            let ran = Command::new("bash")
                .args(["-c", complete, "bash"])
                .arg(&path)
                .args([self.name, &name[..2]])
                .output();
            let Ok(output) = ran else {
                return crate::skip("completions in bash", "bash is not installed");
            };
            let offered = String::from_utf8_lossy(&output.stdout);
            assert!(offered.lines().any(|line| *line == name), "{name}: {output:?}");
        }
    }

    /// Checks that the program and each subcommand in its help have a man page.
    pub fn check_man_pages(&self) {
        let folder = tempfile::tempdir().expect("there is a folder for temporary files");
        let pages = folder.path().join("share/man1");
        let shown = pages.to_str().expect("the path is UTF-8");
        let output = self.run(&[], &["man", shown]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let program = format!("{}.1", self.name);
        let mut expected = vec![program.clone()];
        let names = self.subcommands();
        expected.extend(names.iter().map(|name| format!("{}-{name}.1", self.name)));
        expected.sort();
        assert_eq!(crate::names(&pages), expected);
        let printed = String::from_utf8_lossy(&output.stdout);
        for name in &expected {
            assert!(printed.contains(&format!("{shown}/{name}\n")), "no {name} in {printed}");
            let page = fs::read_to_string(pages.join(name)).expect("it was just written");
            for part in [".TH ", ".SH NAME", ".SH \"EXIT STATUS\"", "130", ".SH ENVIRONMENT"] {
                assert!(page.contains(part), "no {part} in {name}: {page}");
            }
            assert!(page.contains("NO_COLOR") && page.contains("color"), "{name}: {page}");
        }
        let page = fs::read_to_string(pages.join(&program)).expect("it was just written");
        for name in names {
            let reference = format!("{}\\-{name}(1)", self.name);
            assert!(page.contains(&reference), "no {reference} in {page}");
        }
        let refused = self.refusal(&[], &["man", "/dev/null/pages"]);
        assert!(refused.contains("cannot create /dev/null/pages"), "{refused}");
    }

    /// Checks colours of the help and of an error of the program itself, for which it is run with
    /// these arguments.
    pub fn check_colors(&self, refused: &[&str]) {
        let has_colors = |environment: &[(&str, &str)], flags: &[&str], arguments: &[&str]| {
            let output = self.run(environment, &[flags, arguments].concat());
            let printed = [output.stdout, output.stderr].concat();
            assert!(!printed.is_empty(), "{arguments:?}");
            printed.contains(&ESCAPE)
        };
        let (no, force) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"));
        for arguments in [&["--help"][..], &["--no-such-flag"], refused] {
            for (environment, flags, expected) in [
                (&[][..], &[][..], false),
                (&[], &["--color", "auto"], false),
                (&[], &["--color", "always"], true),
                (&[], &["--color=never"], false),
                (&[force], &[], true),
                (&[force], &["--color=auto"], true),
                (&[force], &["--color", "never"], false),
                (&[no], &[], false),
                (&[no, force], &[], false),
                (&[no, force], &["--color", "always"], true),
                (&[("NO_COLOR", ""), force], &[], true),
            ] {
                let found = has_colors(environment, flags, arguments);
                assert_eq!(found, expected, "{environment:?} {flags:?} {arguments:?}");
            }
            let behind = [arguments, &["--color", "always"]].concat();
            assert!(has_colors(&[], &[], &behind), "{behind:?}");
        }
        let refused = self.refusal(&[], &["--color", "sometimes"]);
        for part in ["sometimes", "--color <WHEN>", "auto, always, never"] {
            assert!(refused.contains(part), "no {part} in {refused}");
        }
    }

    /// Checks that the help names exit codes and variables.
    pub fn check_help(&self, variables: &[&str]) {
        let output = self.run(&[], &["--help"]);
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).expect("the help is UTF-8");
        for part in ["Exit codes: 0 ", "; 130 ", "Environment variables:", "NO_COLOR"] {
            assert!(help.contains(part), "no {part} in {help}");
        }
        for variable in variables {
            assert!(help.contains(variable), "no {variable} in {help}");
        }
    }
}
