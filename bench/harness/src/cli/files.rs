//! `bench files`: the files that loads request, for a server that is already running.

use std::path::Path;
use std::process::ExitCode;

use bench_data::load::byte_size::ByteSize;
use bench_data::load::mix::Mix;

use crate::cli::process::say;
use crate::run::files;

/// Writes the files into a folder and prints their paths.
pub(super) fn write_files(
    folder: &Path,
    sizes: &[ByteSize],
    mix: Option<Mix>,
) -> anyhow::Result<ExitCode> {
    for size in sizes {
        files::write(folder, *size)?;
        say(&format!("{}\n", folder.join(files::download_name(*size)).display()));
    }
    if let Some(mix) = mix {
        for name in files::write_mix(folder, mix)? {
            say(&format!("{}\n", folder.join(name).display()));
        }
    }
    Ok(ExitCode::SUCCESS)
}
