//! What makes Hitless hitless: comparing and healing tables, later checkpoints and roles; no I/O.

pub mod audit;
