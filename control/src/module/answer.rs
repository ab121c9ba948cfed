//! Answers about management modules and failover.

use super::{Module, primary::Primary, tasks};
use crate::{
    hw::{boot_seconds, monotonic_nanoseconds},
    logbook,
    master::{Master, Rollback},
    northbound::{
        access::Peer,
        api::{
            ApiError, CheckpointLag, ErrorKind, FailoverTimer, FallbackInfo, Fault, LeaseInfo,
            LeaseState, LogPage, ModuleInfo, ModuleRole, ModuleStatus, MsmFailoverInfo,
            MsmFailoverSettings, Privilege, Reason, Reply, Request, SessionInfo, SubState,
            SubsystemStatus, VersionInfo,
        },
    },
};
use hitless_ha::{
    schema::Subsystem,
    state::{States, Status},
};
use std::fs;

/// Lets requests bring failures about.
const FAULTS_VARIABLE: &str = "HITLESS_FAULTS";

/// The error of what needs a standby.
pub(super) fn no_standby(why: &str) -> ApiError {
    ApiError::new(ErrorKind::Refused, why)
}

/// Who is there, the master first.
pub fn modules(primary: &Primary, module: &Module) -> Vec<ModuleInfo> {
    let own = ModuleInfo {
        slot: module.slot,
        role: ModuleRole::Master,
        pid: std::process::id(),
        state: SubState::Ready,
        version: VersionInfo::own().version,
        image_booted: None,
        image_selected: None,
    };
    let standby = primary.sender().and_then(|sender| {
        let peer = sender.peer()?;
        Some(ModuleInfo {
            slot: peer.slot,
            role: ModuleRole::Standby,
            pid: peer.pid,
            state: overall(sender.states()).0,
            version: peer.version.clone(),
            image_booted: None,
            image_selected: None,
        })
    });
    [Some(own), standby].into_iter().flatten().collect()
}

impl Module {
    /// Who the asker is to the switch, and what its prompt shows.
    #[must_use]
    pub fn session(&self, master: &Master, peer: &Peer) -> SessionInfo {
        let switch = master.config.switch.clone();
        SessionInfo {
            user: peer.user.clone(),
            uid: peer.uid,
            // Whoever may nothing is not heard.
            privilege: peer.privilege.unwrap_or(Privilege::ReadOnly),
            sysname: master.config.snmp.sysname.to_string(),
            switch,
            slot: self.slot,
            unsaved: master.unsaved,
            rollback_seconds: master.rollback.as_ref().map(Rollback::seconds_left),
        }
    }
}

/// `show msm-failover`.
pub fn show(module: &mut Module, primary: &Primary, master: &Master) -> MsmFailoverInfo {
    module.history.refresh();
    let now = module.now_ms();
    let own = own_status(module, primary, master);
    let other = standby_status(module, primary, master);
    let mut modules = vec![own, other];
    modules.sort_by_key(|m| m.slot);
    let lag = primary.sender().map(|sender| sender.lag(now));
    let left = master.timer_left();
    MsmFailoverInfo {
        switch: master.config.switch.clone(),
        generation: master.generation,
        modules,
        settings: MsmFailoverSettings::from(&master.config.msm_failover),
        unsaved: master.unsaved,
        last_failover: module.history.last().cloned(),
        failovers: module.history.failovers().clone(),
        checkpoint: lag.map(|lag| CheckpointLag {
            records: lag.records,
            ms: lag.ms,
        }),
        last_transfer: primary.last_transfer,
        timer: FailoverTimer {
            running: left.is_some(),
            seconds_left: left.unwrap_or(0),
            deleted: master.timer_deleted,
        },
        quarantine: module.quarantined(),
        lease: lease(master),
        fallback: fallback(primary),
    }
}

/// The way back to an older version.
fn fallback(primary: &Primary) -> Option<FallbackInfo> {
    let older = primary.fallback().older()?;
    Some(FallbackInfo {
        slot: older.slot,
        version: older.version.clone(),
        reason: primary.fallback().reason(),
    })
}

fn own_status(module: &Module, primary: &Primary, master: &Master) -> ModuleStatus {
    let was = primary.was.as_ref();
    let old = was.map(overall);
    let counts = |subsystem| match subsystem {
        Subsystem::Config => 1,
        Subsystem::Ports => master.ports.len() as u64,
        Subsystem::Vlans => master.config.vlans.len() as u64,
        Subsystem::Fdb => master.learning.table().len().into(),
        Subsystem::Stp => master.stp.all_keys().len() as u64,
        #[cfg(feature = "edition-newer")]
        Subsystem::Census => master.config.vlans.len() as u64,
        Subsystem::Module => 0,
    };
    ModuleStatus {
        present: true,
        role: ModuleRole::Master,
        state: Some(SubState::Ready),
        reason: Some(Reason::None),
        old_state: old.map(|(state, _)| state),
        old_reason: old.map(|(_, reason)| reason),
        image: std::env::current_exe().ok(),
        version: Some(VersionInfo::own().version),
        pid: Some(std::process::id()),
        uptime_seconds: Some(module.started.elapsed().as_secs()),
        memory_bytes: memory_of(std::process::id()),
        subsystems: Subsystem::CHECKPOINTED
            .map(|subsystem| {
                let old = was.map(|was| was.get(subsystem).current);
                SubsystemStatus {
                    name: subsystem.name().into(),
                    state: SubState::Ready,
                    reason: Reason::None,
                    old_state: old.map(|old| old.state),
                    old_reason: old.map(|old| old.reason),
                    records: counts(subsystem),
                }
            })
            .into(),
        ..ModuleStatus::absent(module.slot)
    }
}

fn standby_status(module: &Module, primary: &Primary, master: &Master) -> ModuleStatus {
    let absent = ModuleStatus {
        present: module.peer_present,
        ..ModuleStatus::absent(module.slot.other())
    };
    let Some(sender) = primary.sender() else {
        return absent;
    };
    let Some(peer) = sender.peer() else {
        return absent;
    };
    let (state, reason) = overall(sender.states());
    let subsystem = |(subsystem, status): (Subsystem, Status)| SubsystemStatus {
        name: subsystem.name().into(),
        state: status.current.state,
        reason: status.current.reason,
        old_state: Some(status.old.state),
        old_reason: Some(status.old.reason),
        records: primary.records_told(subsystem, master),
    };
    ModuleStatus {
        present: true,
        role: ModuleRole::Standby,
        state: Some(state),
        reason: Some(reason),
        image: Some(peer.image.clone().into()),
        version: Some(peer.version.clone()),
        pid: Some(peer.pid),
        uptime_seconds: uptime_of(peer.pid),
        memory_bytes: memory_of(peer.pid),
        subsystems: sender.states().iter().map(subsystem).collect(),
        ..absent
    }
}

/// A module as a whole: as far as its slowest subsystem, failed if one failed.
fn overall(states: &States) -> (SubState, Reason) {
    let standings = || states.iter().map(|(_, status)| status.current);
    if let Some(failed) = standings().find(|s| s.state == SubState::Failed) {
        return (failed.state, failed.reason);
    }
    standings()
        .filter(|standing| standing.state != SubState::Disable)
        .map(|standing| (standing.state, standing.reason))
        .min_by_key(|(state, _)| *state)
        .unwrap_or((SubState::Disable, Reason::None))
}

fn lease(master: &Master) -> LeaseInfo {
    let until = master
        .hardware
        .meta
        .lease()
        .load(std::sync::atomic::Ordering::Relaxed);
    let left = until.saturating_sub(monotonic_nanoseconds()) / 1_000_000;
    LeaseInfo {
        state: match (until, left) {
            (0, _) => LeaseState::Off,
            (_, 0) => LeaseState::Expired,
            _ => LeaseState::Valid,
        },
        ms_left: left,
    }
}

/// `show log`.
pub fn log(module: &Module, request: &Request) -> Result<LogPage, ApiError> {
    let Request::ShowLog {
        count,
        slot,
        level,
        since,
    } = request
    else {
        return Ok(LogPage::default());
    };
    let filter = logbook::Filter {
        slot: *slot,
        level: *level,
        since: *since,
    };
    logbook::read(&module.run_dir, *count, &filter).map_err(|e| {
        let message = format!(
            "the log in {} can not be read: {e}",
            module.run_dir.display()
        );
        ApiError::new(ErrorKind::Hardware, message)
    })
}

/// Memory that only this process has, in bytes.
fn memory_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Seconds since a process was started.
fn uptime_of(pid: u32) -> Option<u64> {
    /// `USER_HZ`, the same on every Linux that runs BPF.
    const TICKS: u64 = 100;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; starttime is the 20th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let start: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    Some(boot_seconds().saturating_sub(start / TICKS))
}

/// Whether this hitlessd may be made to fail.
pub fn faults_allowed() -> Result<(), ApiError> {
    if std::env::var_os(FAULTS_VARIABLE).is_some_and(|value| value == "1") {
        return Ok(());
    }
    Err(no_standby(&format!(
        "failures are brought about only in a hitlessd that was started with {FAULTS_VARIABLE}=1"
    )))
}

/// Brings about a failure that needs nothing but the process.
pub fn inject(fault: &Fault) -> Result<Reply, ApiError> {
    faults_allowed()?;
    match fault {
        Fault::Panic => panic!("a panic by request"),
        Fault::Abort => std::process::abort(),
        Fault::Exit => std::process::exit(1),
        Fault::Hang => loop {
            std::thread::park();
        },
        // The event loop makes it fail.
        Fault::Diagnostic => Ok(Reply::Done {}),
        Fault::TaskPanic => {
            tasks::panic_in_task();
            Ok(Reply::Done {})
        }
        Fault::CriticalTaskPanic => {
            tokio::task::spawn_local(async { panic!("a critical task panics by request") });
            Ok(Reply::Done {})
        }
        _ => Err(no_standby(&format!(
            "this hitlessd has nothing that could fail by {fault}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hitless_ha::state::Reason;

    #[test]
    fn faults_are_refused_unless_allowed_at_the_start() {
        let error = inject(&Fault::Panic).unwrap_err();
        assert!(error.message.contains("HITLESS_FAULTS=1"), "{error}");
    }

    #[test]
    fn a_process_has_memory_and_an_age() {
        let own = std::process::id();
        assert!(memory_of(own).is_some_and(|bytes| bytes > 100_000));
        assert!(uptime_of(own).is_some_and(|seconds| seconds < 100_000));
        assert_eq!(memory_of(u32::MAX), None);
    }

    #[test]
    fn seed_64_a_module_is_as_far_as_its_slowest_subsystem() {
        let mut states = States::initial();
        assert_eq!(overall(&states), (SubState::Initial, Reason::None));
        for subsystem in Subsystem::CHECKPOINTED {
            states.set(subsystem, SubState::Ready, Reason::None);
        }
        assert_eq!(overall(&states), (SubState::Ready, Reason::None));
        states.set(Subsystem::Fdb, SubState::Xfr, Reason::None);
        assert_eq!(overall(&states), (SubState::Xfr, Reason::None));
        states.set(Subsystem::Vlans, SubState::Failed, Reason::InvalidSubtype);
        assert_eq!(overall(&states), (SubState::Failed, Reason::InvalidSubtype));
        assert_eq!(overall(&States::default()).0, SubState::Disable);
    }
}
