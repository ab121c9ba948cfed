//! The management module (hitlessd) and the command line (hitless) of the Hitless switch.

pub mod ethtool;
pub mod hw;
pub mod master;
pub mod netlink;
pub mod offload;

pub mod answer;
pub mod cli;
pub mod config_file;
pub mod northbound;
pub mod run;
