//! Answers about management modules and failover.

use super::refuse;
use crate::{
    master::Master,
    northbound::api::{
        ApiError, FailoverTimer, Fault, LeaseInfo, LeaseState, ModuleRole, ModuleSlot,
        ModuleStatus, MsmFailoverInfo, MsmFailoverSettings, Reason, Reply, Request, SubState,
        VersionInfo,
    },
};
use std::{collections::BTreeMap, fs};

/// Lets requests bring failures about.
const FAULTS_VARIABLE: &str = "HITLESS_FAULTS";

/// The slot of a hitlessd that runs alone.
const OWN_SLOT: ModuleSlot = ModuleSlot::MsmA;

/// Answers the requests that concern modules.
///
/// # Errors
/// Why it was refused; nothing was changed then.
pub(super) fn module(master: &mut Master, request: &Request) -> Result<Reply, ApiError> {
    match request {
        Request::ShowMsmFailover {} => Ok(Reply::MsmFailover(Box::new(show(master)))),
        Request::RunMsmFailover { .. } => Err(refuse(format!(
            "this hitlessd runs alone in {OWN_SLOT}: there is no standby that could take over"
        ))),
        Request::CheckMsmFailover {} => Err(refuse(format!(
            "this hitlessd runs alone in {OWN_SLOT}: there is no standby to compare with"
        ))),
        Request::RebootSlot { slot, .. } if *slot != OWN_SLOT => Err(refuse(format!(
            "slot {slot} is empty: this hitlessd runs alone in {OWN_SLOT}"
        ))),
        Request::RebootSlot { slot, .. } => Err(refuse(format!(
            "no hitless-boot runs in {slot} that could start hitlessd again; end and start it yourself"
        ))),
        Request::ShowLog { .. } => Err(refuse(
            "this hitlessd keeps no log of its own; it writes to its standard error",
        )),
        Request::ClearQuarantine {} => Ok(Reply::QuarantineCleared { removed: 0 }),
        Request::InjectFault { fault } => inject(fault),
        _ => Err(refuse("the request concerns no management module")),
    }
}

fn show(master: &Master) -> MsmFailoverInfo {
    let own = ModuleStatus {
        present: true,
        role: ModuleRole::Master,
        state: Some(SubState::Ready),
        reason: Some(Reason::None),
        image: std::env::current_exe().ok(),
        version: Some(VersionInfo::own().version),
        pid: Some(std::process::id()),
        uptime_seconds: Some(master.started.elapsed().as_secs()),
        memory_bytes: own_memory(),
        ..ModuleStatus::absent(OWN_SLOT)
    };
    MsmFailoverInfo {
        switch: master.config.switch.clone(),
        generation: master.generation,
        modules: vec![own, ModuleStatus::absent(OWN_SLOT.other())],
        settings: MsmFailoverSettings::from(&master.config.msm_failover),
        unsaved: master.unsaved,
        last_failover: None,
        failovers: BTreeMap::new(),
        checkpoint: None,
        last_transfer: None,
        timer: FailoverTimer::default(),
        quarantine: Vec::new(),
        lease: LeaseInfo {
            state: LeaseState::Off,
            ms_left: 0,
        },
    }
}

/// Memory that only this process has, in bytes.
fn own_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn inject(fault: &Fault) -> Result<Reply, ApiError> {
    if std::env::var_os(FAULTS_VARIABLE).is_none_or(|value| value != "1") {
        return Err(refuse(format!(
            "failures are brought about only in a hitlessd that was started with {FAULTS_VARIABLE}=1"
        )));
    }
    match fault {
        Fault::Panic => panic!("a panic by request"),
        Fault::Abort => std::process::abort(),
        Fault::Exit => std::process::exit(1),
        Fault::Hang => loop {
            std::thread::park();
        },
        _ => Err(refuse(format!(
            "this hitlessd has nothing that could fail by {fault}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_refused_unless_allowed_at_the_start() {
        let error = inject(&Fault::Panic).unwrap_err();
        assert!(error.message.contains("HITLESS_FAULTS=1"), "{error}");
    }

    #[test]
    fn a_process_has_memory() {
        assert!(own_memory().is_some_and(|bytes| bytes > 100_000));
    }
}
