//! `clear hardware`: asked of hitlessd, or done here when there is none.

use std::fs;

use hitless_proto::config::SwitchName;

use super::confirm::{confirm, switch_name};
use super::failure::Failure;
use super::session::Session;
use super::target::Target;
use crate::hw::HwError;
use crate::hw::pins::{self, Removed};
use crate::northbound::api::{ApiError, ErrorKind, Reply, Request};
use crate::northbound::client::{Client, ClientError};

/// Takes the hardware down after asking, and says how many pins were taken away.
pub(super) fn clear(session: &Session, target: &Target) -> Result<u64, Failure> {
    let warning = format!(
        "This takes down the data path of {}: forwarding stops on every port, and the forwarding\n\
         database and all counters are lost. hitlessd ends too.",
        switch_name(target)
    );
    confirm(session, "clear hardware", &warning)?;
    match Client::connect(&target.socket) {
        Ok(mut client) => match client.call(&Request::ClearHardware {}) {
            Ok(Reply::HardwareCleared { pins }) => Ok(pins),
            Ok(other) => Err(target.explain(client.unexpected(&other))),
            Err(error) => Err(target.explain(error)),
        },
        Err(error @ ClientError::NotRunning { .. }) => match &target.switch {
            Some(switch) => without_hitlessd(switch, target),
            None => Err(target.explain(error)),
        },
        Err(error) => Err(target.explain(error)),
    }
}

fn without_hitlessd(switch: &SwitchName, target: &Target) -> Result<u64, Failure> {
    let Removed { pins } = pins::remove(switch.as_str()).map_err(|error| match error {
        HwError::Busy { .. } => Failure::Unreachable(format!(
            "a hitlessd holds the hardware of switch {switch} but does not serve {}; \
             it may be starting or ending: try again, or stop it first",
            target.socket.display()
        )),
        error => ApiError::new(ErrorKind::Hardware, error.to_string()).into(),
    })?;
    // What a killed hitlessd left. Both may be missing, and a directory with anything else in it stays.
    let _ = fs::remove_file(&target.socket);
    let _ = target.socket.parent().map(fs::remove_dir);
    Ok(pins as u64)
}
