//! Images and banks: what a slot boots, whatever becomes of the files, and how images get into banks.

pub mod banks;
pub mod disk;
pub mod download;
pub mod modules;
