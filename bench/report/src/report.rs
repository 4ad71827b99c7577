//! The report of a run: page, paper and tables, and the files they are written to.

mod answer;
pub(crate) mod capacities;
pub(crate) mod comparisons;
pub mod content;
pub mod export;
pub(crate) mod fonts;
pub mod gathered;
pub(crate) mod glossary;
pub mod lab_report;
mod matrix;
pub mod page;
pub mod paper;
pub(crate) mod picture;
pub(crate) mod setup;
pub mod table;
