//! Statistical inference: ratios with their intervals, tests and their correction.

pub mod holm;
pub mod logistic;
pub mod ratio;
mod student;
pub mod verdict;

#[cfg(test)]
mod capacity_simulation;
#[cfg(test)]
mod simulation;
