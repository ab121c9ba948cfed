//! The management module (hitlessd) and the command line (hitless) of the Hitless switch.

pub mod answer;
pub mod audit;
pub mod backplane;
pub mod because;
pub mod blackbox;
pub mod chassis;
pub mod cli;
pub mod config_file;
pub mod describe;
pub mod disk;
pub mod ethtool;
pub mod fault;
pub mod grammar;
pub mod heap;
pub mod hw;
pub mod images;
pub mod logbook;
pub mod master;
pub mod module;
pub mod netlink;
pub mod northbound;
pub mod offload;
pub mod packet_socket;
pub mod run;
pub mod system_mac;
pub mod upgrade;
