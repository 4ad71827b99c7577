//! The command of a run, as recorded.

use std::path::Path;

/// The command as a person would type it in the current folder, without the paths of this
/// machine that lead there or elsewhere.
pub(super) fn command_line() -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let words = std::env::args().skip(1).map(|word| quoted(&without_machine_path(&word, &here)));
    std::iter::once("bench".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn without_machine_path(word: &str, here: &Path) -> String {
    let (flag, path) = match word.split_once('=') {
        Some((flag, path)) if flag.starts_with("--") => (format!("{flag}="), path),
        _ => (String::new(), word),
    };
    let path = Path::new(path);
    if !path.is_absolute() {
        return word.to_owned();
    }
    let shown = match (path.strip_prefix(here), path.file_name()) {
        (Ok(within), _) => within.to_owned(),
        (Err(_), Some(name)) => Path::new("…").join(name),
        (Err(_), None) => path.to_owned(),
    };
    format!("{flag}{}", shown.display())
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=,./:…".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_machine_are_not_told() {
        let here = Path::new("/somewhere/deep");
        for (word, expected) in [
            ("results/a", "results/a"),
            ("/somewhere/deep/plans/p.toml", "plans/p.toml"),
            ("/elsewhere/p.toml", "…/p.toml"),
            ("--out=/elsewhere/run", "--out=…/run"),
            ("--quick", "--quick"),
        ] {
            assert_eq!(without_machine_path(word, here), expected);
        }
        assert_eq!(quoted("a b'c"), r"'a b'\''c'");
    }
}
