//! Documents, papers and pages of mock and recorded runs.

mod documents;
mod paper;
mod text;
