//! From records to answers, charts and reports. Reads only what a run has recorded.

pub mod analysis;

pub mod documents;

pub mod figures;

pub mod report;

pub mod xray;
