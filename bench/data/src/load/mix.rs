//! Sets of files of many sizes, some of them asked for more often than others.
//!
//! The set `web` follows the classes of SPECweb96 and SPECweb99: in each directory there are nine
//! files in each of four classes, 102 to 922 bytes, 1 to 9 KiB, 10 to 90 KiB and 100 to 900 KiB, which
//! take 35, 50, 14 and 1 % of the requests. Within a class popularity is a Poisson distribution around
//! the middle file (<https://spec.cs.miami.edu/web96/workload.html>). Directories follow Zipf's law
//! with an exponent of 1, as in SPECweb99 (Ruan and Pai, USENIX 2006, section 2.2). Of the directories
//! there are as many as stay in memory, whatever the load.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::load::byte_size::ByteSize;

/// A set of files.
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

/// One of its files.
#[derive(Debug, Clone, PartialEq)]
pub struct MixFile {
    /// Its name, from which its content follows.
    pub name: String,
    /// Its size.
    pub size: ByteSize,
    /// How often it is asked for, relative to the others.
    pub weight: f64,
}

/// Directories: 720 files of 98 MiB in all.
const DIRECTORIES: u32 = 20;

/// Of each class: the smallest size in tenths of a byte, and the share of requests in percent.
const CLASSES: [(u64, f64); 4] = [(1_024, 35.0), (10_240, 50.0), (102_400, 14.0), (1_024_000, 1.0)];

/// Files of each class: multiples of its smallest size.
const FILES_PER_CLASS: u64 = 9;

/// The middle of those multiples, where popularity has its peak.
const MIDDLE: f64 = 5.0;

impl Mix {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Web];

    /// The one spelling used in flags, plans and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
        }
    }

    /// Its files, those of the most popular directory first; the same on every machine.
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

    /// The file that is asked for most often.
    pub fn favourite(self) -> MixFile {
        let files = self.files().into_iter();
        files.max_by(|a, b| a.weight.total_cmp(&b.weight)).expect("a mix has files")
    }

    /// How many there are.
    pub fn file_count(self) -> usize {
        let Self::Web = self;
        DIRECTORIES as usize * CLASSES.len() * FILES_PER_CLASS as usize
    }

    /// Bytes of the average answer.
    pub fn mean_size(self) -> ByteSize {
        let files = self.files();
        let weights: f64 = files.iter().map(|file| file.weight).sum();
        let bytes: f64 = files.iter().map(|file| file.weight * file.size.bytes() as f64).sum();
        ByteSize::new((bytes / weights).round() as u64)
    }

    /// Bytes of all files.
    pub fn total_bytes(self) -> u64 {
        self.files().iter().map(|file| file.size.bytes()).sum()
    }

    /// What sets such a load apart, in words.
    pub fn remark(self) -> String {
        format!("on average, of {} files as on the web", self.file_count())
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How popular each of a class's files is, but for a factor.
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
