//! Texts, pictures and listings of the user for a paper, read from files and folders.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, anyhow, ensure};
use bench_data::units;
use bench_report::report::lab_report::{Appendix, UserPicture, UserText};

/// Largest text and largest picture of a paper, in bytes.
const MOST_TEXT: u64 = 1 << 20;
const MOST_PICTURE: u64 = 16 << 20;

/// Appendix with the text of a file.
///
/// # Errors
/// The file cannot be read, or is too large.
pub(super) fn transcript(path: &Path) -> anyhow::Result<Appendix> {
    Ok(Appendix { heading: format!("Transcript: {}", name(path)), text: lossy(path)? })
}

/// Appendix with the listing of a folder, or with the text of a file that holds a listing.
///
/// # Errors
/// The file cannot be read or is too large, or the folder cannot be listed.
pub(super) fn listing(path: &Path) -> anyhow::Result<Appendix> {
    let text = if path.is_dir() { list(path)? } else { lossy(path)? };
    Ok(Appendix { heading: format!("Listing: {}", name(path)), text })
}

/// Appendix with a source file.
///
/// # Errors
/// The file cannot be read, is too large or is not UTF-8.
pub(super) fn source(path: &Path) -> anyhow::Result<Appendix> {
    Ok(Appendix { heading: format!("Source: {}", name(path)), text: text(path)? })
}

/// Text of the user in Markdown.
///
/// # Errors
/// The file cannot be read, is too large or is not UTF-8.
pub(super) fn notes(path: &Path) -> anyhow::Result<UserText> {
    Ok(UserText { file: path.display().to_string(), text: text(path)? })
}

/// Picture of the user, given as `FILE` or `FILE=CAPTION`. A file whose name contains `=` is given with
/// a caption, or exists as it is written.
///
/// # Errors
/// The file cannot be read or is too large.
pub(super) fn picture(given: &str) -> anyhow::Result<UserPicture> {
    let (file, caption) = match given.split_once('=') {
        Some((file, caption)) if !Path::new(given).exists() => (file, caption.trim()),
        _ => (given, ""),
    };
    let path = Path::new(file);
    let caption = if caption.is_empty() { name(path) } else { caption.to_owned() };
    Ok(UserPicture { file: file.to_owned(), caption, data: read(path, MOST_PICTURE)? })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Text of a file, without the mark of its byte order.
fn text(path: &Path) -> anyhow::Result<String> {
    let text = String::from_utf8(read(path, MOST_TEXT)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        anyhow!(
            "{} is not UTF-8 in line {line}: convert it, for example with iconv",
            path.display()
        )
    })?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Text of a file, in which invalid bytes are replaced: terminals print any bytes.
fn lossy(path: &Path) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&read(path, MOST_TEXT)?).into_owned())
}

/// Content of a file of at most so many bytes.
fn read(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // A device may have no end.
        File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() as u64 <= most,
        "{} is too large for a paper: the limit is {}",
        path.display(),
        units::bytes(most as f64)
    );
    Ok(bytes)
}

/// Output of `ls -la`.
fn list(folder: &Path) -> anyhow::Result<String> {
    let listed =
        Command::new("ls").args(["-la", "--"]).arg(folder).env("LC_ALL", "C.UTF-8").output();
    let listed = listed.context("cannot run ls; give a file that holds the listing")?;
    ensure!(
        listed.status.success(),
        "cannot list {}: {}",
        folder.display(),
        String::from_utf8_lossy(&listed.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&listed.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_with_modes_sizes_and_names() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("meme copy.png"), [0; 1234]).unwrap();
        let listing = list(folder.path()).unwrap();
        let line = listing.lines().find(|line| line.ends_with("meme copy.png")).unwrap();
        assert!(line.starts_with("-rw") && line.contains(" 1234 "), "{line}");
        assert!(list(&folder.path().join("none")).is_err());
    }

    #[test]
    fn texts_are_utf_8_of_a_limited_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.md");
        let refused = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            format!("{:#}", text(&path).unwrap_err())
        };
        assert!(refused(b"one\ntwo \xff").contains("notes.md is not UTF-8 in line 2: convert it"));
        assert!(refused(&vec![b'x'; (MOST_TEXT + 1) as usize]).ends_with("the limit is 1.00 MiB"));
        std::fs::write(&path, "\u{feff}text").unwrap();
        assert_eq!(text(&path).unwrap(), "text");
        assert!(text(folder.path()).is_err(), "a folder has no text");
        let endless = format!("{:#}", text(Path::new("/dev/zero")).unwrap_err());
        assert!(endless.starts_with("/dev/zero is too large"), "{endless}");
    }

    #[test]
    fn a_figure_has_a_caption_after_an_equals_sign() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["plain.png", "with=sign.png"] {
            std::fs::write(path(name), "data").unwrap();
        }
        for (given, file, caption) in [
            ("plain.png", "plain.png", "plain.png"),
            ("plain.png= The topology, x=1. ", "plain.png", "The topology, x=1."),
            ("plain.png=", "plain.png", "plain.png"),
            ("with=sign.png", "with=sign.png", "with=sign.png"),
        ] {
            let picture = picture(&path(given)).unwrap();
            assert_eq!((picture.file, &*picture.caption), (path(file), caption), "{given}");
        }
        assert!(picture(&path("none.png=Caption")).is_err());
    }
}
