//! The servers of a comparison: built-in strategies, reference servers and servers of the user's.

pub mod external;
pub mod reference;
pub mod target;
pub mod variant;
