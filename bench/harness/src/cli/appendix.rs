//! Transcripts and listings for the end of a paper, read from files and folders.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use bench_report::report::lab_report::Appendix;

/// Appendix with the text of a file.
///
/// # Errors
/// The file cannot be read.
pub(super) fn transcript(path: &Path) -> anyhow::Result<Appendix> {
    Ok(Appendix { heading: format!("Transcript: {}", name(path)), text: read(path)? })
}

/// Appendix with the listing of a folder, or with the text of a file that holds a listing.
///
/// # Errors
/// The file cannot be read, or the folder cannot be listed.
pub(super) fn listing(path: &Path) -> anyhow::Result<Appendix> {
    let text = if path.is_dir() { list(path)? } else { read(path)? };
    Ok(Appendix { heading: format!("Listing: {}", name(path)), text })
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
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
}
