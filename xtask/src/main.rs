//! The one entry for development.
fn main() {}
