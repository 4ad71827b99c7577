//! The client's half of the wires: composing requests and reading replies, without I/O.
