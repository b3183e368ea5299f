//! The numbers of the whole system. Started by `cargo xtask bench`.

fn main() {}
