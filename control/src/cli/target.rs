//! Which switch is meant, where its socket is, and what it means when nobody answers there.

use std::fs;
use std::path::{Path, PathBuf};

use hitless_proto::config::SwitchName;

use super::failure::Failure;
use crate::hw::pins::BPFFS;
use crate::northbound::client::ClientError;
use crate::northbound::socket_path;

/// The switch to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name, if it is known: a socket alone does not tell.
    pub switch: Option<SwitchName>,
    /// Its control socket.
    pub socket: PathBuf,
}

/// The switch that is named, or the only one with a directory in `run_dir`. A socket that is given is used
/// whatever the switch's name is.
pub(super) fn find(
    run_dir: &Path,
    switch: Option<SwitchName>,
    socket: Option<PathBuf>,
) -> Result<Target, Failure> {
    find_among(|| switches_in(run_dir), run_dir, switch, socket)
}

/// As [`find`]; a switch that has no directory in `run_dir` is looked for among the hardware in bpffs.
pub(super) fn find_for_hardware(
    run_dir: &Path,
    switch: Option<SwitchName>,
    socket: Option<PathBuf>,
) -> Result<Target, Failure> {
    let with_hardware = || {
        let mut switches = switches_in(run_dir);
        switches.extend(switches_in(&hardware_dir()));
        switches.sort();
        switches.dedup();
        switches
    };
    find_among(with_hardware, run_dir, switch, socket)
}

fn find_among(
    switches: impl FnOnce() -> Vec<SwitchName>,
    run_dir: &Path,
    switch: Option<SwitchName>,
    socket: Option<PathBuf>,
) -> Result<Target, Failure> {
    if let Some(socket) = socket {
        return Ok(Target { switch, socket });
    }
    let switch = match switch {
        Some(switch) => switch,
        None => only(switches(), run_dir)?,
    };
    Ok(Target {
        socket: socket_path(run_dir, &switch),
        switch: Some(switch),
    })
}

fn only(mut switches: Vec<SwitchName>, run_dir: &Path) -> Result<SwitchName, Failure> {
    match switches.as_slice() {
        [_] => Ok(switches.remove(0)),
        [] => Err(Failure::Unreachable(format!(
            "no switch is known here ({} has none); start one with hitlessd --config FILE, or name its socket with --socket PATH",
            run_dir.display()
        ))),
        _ => {
            let names: Vec<&str> = switches.iter().map(SwitchName::as_str).collect();
            Err(Failure::Usage(format!(
                "there are several switches here; choose one with --switch NAME: {}",
                names.join(", ")
            )))
        }
    }
}

/// The directories that are named as a switch can be, in order.
fn switches_in(dir: &Path) -> Vec<SwitchName> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut switches: Vec<SwitchName> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    switches.sort();
    switches
}

fn hardware_dir() -> PathBuf {
    Path::new(BPFFS).join("hitless")
}

impl Target {
    /// What an error of the client means for the operator.
    pub fn explain(&self, error: ClientError) -> Failure {
        let advice = match &error {
            ClientError::Refused(refusal) => return Failure::Refused(refusal.clone()),
            // It says itself who may.
            ClientError::Connect { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                return Failure::Unreachable(error.to_string());
            }
            ClientError::NotRunning { .. } => self.not_running(),
            ClientError::Connect { .. } => "check the path given with --socket".into(),
            ClientError::NoAnswer { .. } => {
                "it may be stopped or stuck; the hardware goes on forwarding meanwhile. \
                 See its log, and if need be kill it and start it again: it adopts the hardware"
                    .into()
            }
            ClientError::Closed { .. } => "it may just have ended; try again".into(),
            ClientError::Garbled { .. } => "use the hitless of the same version as hitlessd".into(),
        };
        Failure::Unreachable(format!("{error}\n{advice}"))
    }

    /// What becomes of the frames while no hitlessd runs, and what to do.
    fn not_running(&self) -> String {
        let start = "start it with hitlessd --config FILE";
        let clear = "take the hardware down with hitless clear hardware";
        let Some(switch) = &self.switch else {
            return format!(
                "hitlessd is not running; the hardware may still be forwarding. To go on, {start}; to end it, {clear}"
            );
        };
        if hardware_dir().join(switch.as_str()).exists() {
            format!(
                "hitlessd is not running for switch {switch}; its hardware is in place and goes on forwarding. \
                 To go on, {start}; to end it, {clear}"
            )
        } else {
            format!(
                "hitlessd is not running for switch {switch}, and no hardware of it is in this bpffs, so nothing \
                 is forwarded from here; {start}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn name(text: &str) -> SwitchName {
        text.parse().unwrap()
    }

    #[test]
    fn the_only_switch_is_taken() {
        let run = tempfile::tempdir().unwrap();
        let none = find(run.path(), None, None).unwrap_err();
        assert!(matches!(none, Failure::Unreachable(_)), "{none}");
        assert!(matches!(
            find(&run.path().join("x"), None, None),
            Err(Failure::Unreachable(_))
        ));

        fs::create_dir(run.path().join("sw1")).unwrap();
        // Neither a file nor a name that no switch can have counts.
        fs::write(run.path().join("sw2"), "").unwrap();
        fs::create_dir(run.path().join(".hidden")).unwrap();
        let target = find(run.path(), None, None).unwrap();
        assert_eq!(target.socket, run.path().join("sw1/control.sock"));
        assert_eq!(target.switch, Some(name("sw1")));

        fs::create_dir(run.path().join("a")).unwrap();
        let several = find(run.path(), None, None).unwrap_err();
        assert_eq!(several.exit_code(), 2);
        assert!(
            several.to_string().ends_with("--switch NAME: a, sw1"),
            "{several}"
        );
        let target = find(run.path(), Some(name("b")), None).unwrap();
        assert_eq!(target.socket, run.path().join("b/control.sock"));
    }

    #[test]
    fn a_socket_that_is_given_is_used() {
        let socket = PathBuf::from("/tmp/x.sock");
        let target = find(Path::new("/nonexistent"), None, Some(socket.clone())).unwrap();
        assert_eq!(
            target,
            Target {
                switch: None,
                socket
            }
        );
    }

    #[test]
    fn silence_is_explained() {
        let target = Target {
            switch: Some(name("no-such-switch")),
            socket: "/x".into(),
        };
        let path = PathBuf::from("/x");
        let not_running = ClientError::NotRunning {
            path: path.clone(),
            source: io::ErrorKind::NotFound.into(),
        };
        let failure = target.explain(not_running);
        assert_eq!(failure.exit_code(), 3);
        let text = failure.to_string();
        assert!(
            text.contains("hitlessd is not running for switch no-such-switch"),
            "{text}"
        );
        assert!(text.contains("hitlessd --config FILE"), "{text}");

        let unnamed = Target {
            switch: None,
            socket: "/x".into(),
        };
        let not_running = ClientError::NotRunning {
            path: path.clone(),
            source: io::ErrorKind::NotFound.into(),
        };
        assert!(
            unnamed
                .explain(not_running)
                .to_string()
                .contains("may still be forwarding")
        );
        let denied = ClientError::Connect {
            path,
            source: io::Error::new(io::ErrorKind::PermissionDenied, "only root may"),
        };
        assert_eq!(
            target.explain(denied).to_string(),
            "can not connect to /x: only root may"
        );
    }
}
