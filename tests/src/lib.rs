//! Network tests, traffic and benches of Hitless; they run the shipped binaries.
