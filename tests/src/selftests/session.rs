//! The operator's hands: the shell, scripts, and every kind of change of the configuration, on a switch that forwards.

pub mod banks;
pub mod changes;
pub mod confirmed;
pub mod desk;
pub mod download;
pub mod golden;
pub mod large;
pub mod lost;
pub mod paging;
pub mod reference;
pub mod scripts;
pub mod shell;
