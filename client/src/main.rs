//! The `client` program.
fn main() {}
