//! The operator process: flags, wiring, exit codes.

fn main() {}
