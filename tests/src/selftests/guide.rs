//! The procedures of the T-sync guide, "Overview of Hitless Upgrade" to "Troubleshooting", with its commands.

pub mod place;
pub mod procedures;
pub mod troubleshooting;
