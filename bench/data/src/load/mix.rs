//! Sets of files of different sizes and popularity.
//!
//! The set `web` follows the classes of SPECweb96 and SPECweb99: in each directory there are nine
//! files in each of four classes, 102 to 922 bytes, 1 to 9 KiB, 10 to 90 KiB and 100 to 900 KiB, which
//! receive 35, 50, 14 and 1 % of the requests. Within a class popularity is a Poisson distribution around
//! the middle file (<https://spec.cs.miami.edu/web96/workload.html>). Directories follow Zipf's law
//! with an exponent of 1, as in SPECweb99 (Ruan and Pai, USENIX 2006, section 2.2). The number of
//! directories is constant, so that the files stay in memory under every load.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::load::byte_size::ByteSize;

/// Set of files.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mix {
    /// Sizes and popularity of files on web servers
    Web,
}

/// File of a mix.
#[derive(Debug, Clone, PartialEq)]
pub struct MixFile {
    /// Name; the content is generated from it.
    pub name: String,
    /// Size.
    pub size: ByteSize,
    /// Relative frequency of requests for it.
    pub weight: f64,
}

/// Number of directories: 720 files, 98 MiB in total.
const DIRECTORIES: u32 = 20;

/// Classes: the smallest size in tenths of a byte, and the share of requests in percent.
const CLASSES: [(u64, f64); 4] = [(1_024, 35.0), (10_240, 50.0), (102_400, 14.0), (1_024_000, 1.0)];

/// Number of files per class: multiples of its smallest size.
const FILES_PER_CLASS: u64 = 9;

/// Mean of the Poisson distribution over those multiples.
const MIDDLE: f64 = 5.0;

impl Mix {
    /// All mixes.
    pub const ALL: [Self; 1] = [Self::Web];

    /// Name in flags, plans and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
        }
    }

    /// Files, most popular directory first; the same on every machine.
    pub fn files(self) -> Vec<MixFile> {
        let Self::Web = self;
        let in_class = poisson();
        let sum: f64 = in_class.iter().sum();
        let mut files = Vec::new();
        for directory in 1..=DIRECTORIES {
            for (class, (tenths, percent)) in CLASSES.into_iter().enumerate() {
                for (multiple, share) in (1..=FILES_PER_CLASS).zip(&in_class) {
                    files.push(MixFile {
                        name: format!("web-{directory:02}-{class}-{multiple}.bin"),
                        size: ByteSize::new((tenths * multiple + 5) / 10),
                        weight: percent * share / sum / f64::from(directory),
                    });
                }
            }
        }
        files
    }

    /// Most requested file.
    pub fn favourite(self) -> MixFile {
        let files = self.files().into_iter();
        files.max_by(|a, b| a.weight.total_cmp(&b.weight)).expect("a mix has files")
    }

    /// Number of files.
    pub fn file_count(self) -> usize {
        let Self::Web = self;
        DIRECTORIES as usize * CLASSES.len() * FILES_PER_CLASS as usize
    }

    /// Mean size over the requests.
    pub fn mean_size(self) -> ByteSize {
        let files = self.files();
        let weights: f64 = files.iter().map(|file| file.weight).sum();
        let bytes: f64 = files.iter().map(|file| file.weight * file.size.bytes() as f64).sum();
        ByteSize::new((bytes / weights).round() as u64)
    }

    /// Total size of all files in bytes.
    pub fn total_bytes(self) -> u64 {
        self.files().iter().map(|file| file.size.bytes()).sum()
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Relative popularity of the files of a class.
fn poisson() -> Vec<f64> {
    let mut share = 1.0;
    let next = |multiple| {
        share *= MIDDLE / multiple as f64;
        share
    };
    (1..=FILES_PER_CLASS).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_is_as_the_benchmarks_describe_it() {
        let files = Mix::Web.files();
        assert_eq!((files.len(), Mix::Web.file_count()), (720, 720));
        assert!(Mix::Web.total_bytes() <= 100 << 20, "{}", Mix::Web.total_bytes());
        let sizes: Vec<_> = files[..36].iter().map(|file| file.size.bytes()).collect();
        assert_eq!(sizes[..3], [102, 205, 307]);
        assert_eq!((sizes[8], sizes[9], sizes[26], sizes[35]), (922, 1024, 92_160, 921_600));
        // "an average dynamic response size of roughly 14 KB" (Ruan and Pai).
        let mean = Mix::Web.mean_size().bytes();
        assert!((14_000..15_000).contains(&mean), "{mean}");
        let all: f64 = files.iter().map(|file| file.weight).sum();
        let share = |part: &dyn Fn(&MixFile) -> bool| {
            files.iter().filter(|file| part(file)).map(|file| file.weight).sum::<f64>() / all
        };
        assert!((share(&|file| file.size.bytes() < 1_000) - 0.35).abs() < 1e-9);
        assert!((share(&|file| file.size.bytes() > 100_000) - 0.01).abs() < 1e-9);
        let directory = |number: &'static str| share(&move |file| file.name.starts_with(number));
        assert!((directory("web-01") / directory("web-20") - 20.0).abs() < 1e-9);
        // The Poisson distribution around 5 has its peak at 4 and 5.
        assert_eq!(Mix::Web.favourite().name, "web-01-1-5.bin");
    }

    #[test]
    fn no_two_files_have_one_name() {
        let mut names: Vec<_> = Mix::Web.files().into_iter().map(|file| file.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 720);
    }
}
