//! The records of a run: rows, their evidence and outcome, and the folder that holds them.

pub mod capacity;
pub mod conditions;
pub mod environment;
pub mod evidence;
pub mod outcome;
mod plausible;
pub mod rows;
pub mod run_folder;
pub mod system_calls;
pub mod wake_up;
