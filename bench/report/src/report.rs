//! The report of a run: page, paper and tables, and the files they are written to.

pub mod content;
pub mod export;
pub mod fonts;
pub mod glossary;
pub mod lab_report;
mod matrix;
pub mod page;
pub mod paper;
pub mod picture;
pub mod setup;
pub mod table;
