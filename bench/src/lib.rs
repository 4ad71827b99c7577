//! Runs the comparison and judges it.
