//! What makes Hitless hitless: canonical messages, brackets, the checkpoint from a master to its standby, the
//! standby's verdict about a takeover, and comparing and healing tables.
//!
//! Nothing here does I/O or reads a clock: bytes go in and come out, and the current time is an argument, in
//! milliseconds since any fixed moment of this process.
#![forbid(unsafe_code)]

pub mod audit;
pub mod cause;
pub mod compat;
pub mod describe;
pub mod digest;
pub mod fallback;
pub mod link;
pub mod message;
pub mod monitor;
mod outbox;
pub mod receiver;
pub mod record;
pub mod schema;
pub mod sender;
pub mod slot;
pub mod state;
pub mod upgrade;
