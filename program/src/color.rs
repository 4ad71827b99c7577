//! Flag `--color`: colours of help, errors and warnings.

use std::ffi::OsString;

use clap::{Arg, ColorChoice, ValueEnum, value_parser};

const FLAG: &str = "--color";

/// Words of the command line of this process, without `--color`, which takes effect at once.
///
/// Help and errors of the parser itself depend on the flag. It therefore has to be found before the
/// arguments are parsed. A `--color` with an invalid value remains, for the parser to refuse it.
pub fn words() -> Vec<OsString> {
    let (words, choice) = separated(std::env::args_os());
    if let Some(choice) = choice {
        match choice {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
    words
}

/// Flag for the help of a program.
pub(crate) fn flag() -> Arg {
    Arg::new("color")
        .long("color")
        .value_name("WHEN")
        .help("Colours of help, errors and warnings; auto: on terminals, unless NO_COLOR is set")
        .value_parser(value_parser!(ColorChoice))
        .default_value("auto")
        .help_heading(None::<&'static str>)
        .global(true)
}

/// Separates the last valid `--color` before a `--` from the other words.
fn separated(words: impl Iterator<Item = OsString>) -> (Vec<OsString>, Option<ColorChoice>) {
    let (mut kept, mut chosen) = (Vec::new(), None);
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let text = word.to_str();
        if text == Some("--") {
            kept.push(word);
            kept.extend(words);
            break;
        }
        let mut value =
            text.and_then(|text| text.strip_prefix(FLAG)?.strip_prefix('=')).and_then(choice);
        if text == Some(FLAG) {
            value = words.peek().and_then(|next| choice(next.to_str()?));
            if value.is_some() {
                words.next();
            }
        }
        match value {
            Some(_) => chosen = value,
            None => kept.push(word),
        }
    }
    (kept, chosen)
}

fn choice(text: &str) -> Option<ColorChoice> {
    ColorChoice::from_str(text, false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_found_in_any_place_before_two_dashes() {
        let always = Some(ColorChoice::Always);
        for (text, kept, chosen) in [
            ("p run --rounds 5", "p run --rounds 5", None),
            ("p --color always run", "p run", always),
            ("p run --color=never --color=always x", "p run x", always),
            ("p run --color never", "p run", Some(ColorChoice::Never)),
            ("p --color auto", "p", Some(ColorChoice::Auto)),
            ("p launch -- x --color never", "p launch -- x --color never", None),
            ("p --color sometimes", "p --color sometimes", None),
            ("p --color=", "p --color=", None),
            ("p --color", "p --color", None),
            ("p --colors=never", "p --colors=never", None),
        ] {
            let (words, choice) = separated(text.split(' ').map(OsString::from));
            assert_eq!((words.join(" ".as_ref()).to_str(), choice), (Some(kept), chosen), "{text}");
        }
    }
}
