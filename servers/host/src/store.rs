//! The directory of files.
