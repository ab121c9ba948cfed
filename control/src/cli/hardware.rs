//! `clear hardware`: asked of hitlessd, or done here when there is none.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};

use hitless_proto::config::SwitchName;

use super::Failure;
use super::target::Target;
use crate::hw::HwError;
use crate::hw::pins::{self, Removed};
use crate::northbound::api::{ApiError, ErrorKind, Reply, Request};
use crate::northbound::client::{Client, ClientError};

/// Takes the hardware down after asking, and says how many pins were taken away.
pub(super) fn clear(target: &Target, yes: bool) -> Result<u64, Failure> {
    if !yes {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::Usage(
                "clear hardware stops all forwarding and asks first, but there is no terminal to ask at; say --yes if you mean it".into(),
            ));
        }
        if !agreed(target, &mut stdin.lock(), &mut io::stderr())? {
            return Err(Failure::Declined);
        }
    }
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

/// Warns and asks. Anything but `y` and `yes` is no.
fn agreed(target: &Target, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    let name = match &target.switch {
        Some(switch) => format!("switch {switch}"),
        None => format!("the switch at {}", target.socket.display()),
    };
    write!(
        output,
        "This takes down the data path of {name}: forwarding stops on every port, and the forwarding\n\
         database and all counters are lost. hitlessd ends too.\nGo on? [y/N] "
    )?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            switch: Some("sw1".parse().unwrap()),
            socket: "/x".into(),
        }
    }

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, agrees) in [
            ("y\n", true),
            ("YES\n", true),
            (" yes ", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut asked = Vec::new();
            assert_eq!(
                agreed(&target(), &mut answer.as_bytes(), &mut asked).unwrap(),
                agrees,
                "{answer:?}"
            );
            let asked = String::from_utf8(asked).unwrap();
            assert!(asked.contains("switch sw1: forwarding stops"), "{asked}");
        }
    }
}
