//! What is answered about management modules and failover, and what can be changed of their settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hitless_ha::cause::Cause;
use hitless_ha::slot::ModuleSlot;
use hitless_ha::state::{Reason, SubState};
use hitless_proto::config::{
    ConfigBank, Document, LinkAction, MsmFailoverConfig, PreserveState, SlaveConfig, SwitchName,
    SysRecoveryLevel,
};
use serde::{Deserialize, Serialize};

use super::image::FallbackInfo;
use super::words::{LeaseState, LogLevel, ModuleRole};

/// Lines of the log in one answer at most.
pub const MAX_LOG_PAGE: u32 = 1_000;

/// What became of a change of the running configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfiguredInfo {
    /// Whether it was another configuration before.
    pub changed: bool,
    /// Whether the running configuration has changes that are not saved.
    pub unsaved: bool,
    /// What the operator should know about it, a sentence each.
    pub notes: Vec<String>,
    /// Seconds until the configuration before is gone back to; `null`: it stays.
    #[serde(default)]
    pub rollback_seconds: Option<u32>,
}

/// Whose configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationSource {
    /// The one in force.
    #[default]
    Running,
    /// The primary saved one.
    Primary,
    /// The secondary saved one.
    Secondary,
    /// The saved one in use.
    Selected,
}

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationInfo {
    /// Whose.
    pub source: ConfigurationSource,
    /// Its file; `null` for the running one.
    pub file: Option<PathBuf>,
    /// The configuration.
    pub document: Document,
    /// Whether the running configuration has changes that are not saved.
    pub unsaved: bool,
    /// Seconds until the running configuration is gone back from; `null`: it stays.
    pub rollback_seconds: Option<u32>,
}

/// The settings of failover in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsmFailoverSettings {
    /// Where a new master takes its configuration from.
    pub slave_config: SlaveConfig,
    /// What becomes of the ports.
    pub link_action: LinkAction,
    /// Which state is kept.
    pub preserve_state: PreserveState,
    /// The failover timer in seconds.
    pub timeout_seconds: u32,
    /// Milliseconds between keepalives.
    pub keepalive_interval_ms: u32,
    /// Missed keepalives that mean that a module is lost.
    pub keepalive_misses: u32,
    /// Milliseconds after which a hanging module is ended; `null`: never.
    pub watchdog_ms: Option<u32>,
    /// Milliseconds that a checkpoint may be old for an unannounced failover to be hitless.
    pub freshness_ms: u32,
    /// Whose exceptions make a module fail over.
    pub sys_recovery_level: SysRecoveryLevel,
    /// Milliseconds for which the data path trusts a silent master.
    pub lease_ms: u32,
    /// What outlives a failover by these settings, 1 (nothing) to 6 (all).
    pub preservation_level: u8,
    /// The level in words.
    pub preservation: String,
    /// Whether a failover with these settings can be hitless.
    pub hitless: bool,
}

impl From<&MsmFailoverConfig> for MsmFailoverSettings {
    fn from(config: &MsmFailoverConfig) -> Self {
        let level = config.preservation_level();
        Self {
            slave_config: config.slave_config,
            link_action: config.link_action,
            preserve_state: config.preserve_state,
            timeout_seconds: config.timeout_seconds,
            keepalive_interval_ms: config.keepalive_interval_ms,
            keepalive_misses: config.keepalive_misses,
            watchdog_ms: config.watchdog_ms,
            freshness_ms: config.freshness_ms,
            sys_recovery_level: config.sys_recovery_level,
            lease_ms: config.lease_ms,
            preservation_level: level.number(),
            preservation: level.to_string(),
            hitless: level.is_hitless(),
        }
    }
}

/// Everything about the management modules and failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsmFailoverInfo {
    /// The switch.
    pub switch: SwitchName,
    /// How many masters the hardware has had; another number means that mastership changed hands.
    pub generation: u64,
    /// Both slots, `msm-a` first.
    pub modules: Vec<ModuleStatus>,
    /// The settings in force.
    pub settings: MsmFailoverSettings,
    /// Whether the running configuration has changes that are not saved.
    pub unsaved: bool,
    /// The last failover; `null` if there was none.
    pub last_failover: Option<FailoverInfo>,
    /// How many failovers there were, by cause; only causes that occurred.
    pub failovers: BTreeMap<Cause, u64>,
    /// How far the standby is behind; `null` without a standby.
    pub checkpoint: Option<CheckpointLag>,
    /// The last bulk transfer to a standby; `null` if there was none.
    pub last_transfer: Option<TransferInfo>,
    /// The failover timer.
    pub timer: FailoverTimer,
    /// Inputs that ended two masters and are dropped.
    pub quarantine: Vec<QuarantinedInput>,
    /// The lease of the data path.
    pub lease: LeaseInfo,
    /// The way back to an older standby; `null` if there is none.
    #[serde(default)]
    pub fallback: Option<FallbackInfo>,
}

impl MsmFailoverInfo {
    /// The module in this role, if there is one.
    #[must_use]
    pub fn in_role(&self, role: ModuleRole) -> Option<&ModuleStatus> {
        self.modules.iter().find(|module| module.role == role)
    }
}

/// One slot and its module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleStatus {
    /// The slot.
    pub slot: ModuleSlot,
    /// Whether a module is in it: its hitless-boot runs.
    pub present: bool,
    /// What the module is.
    pub role: ModuleRole,
    /// Its state; `null`: not available, because it is absent or being started.
    pub state: Option<SubState>,
    /// Why it is in that state.
    pub reason: Option<Reason>,
    /// Its state before the last failover.
    pub old_state: Option<SubState>,
    /// Why it was in that state.
    pub old_reason: Option<Reason>,
    /// The program that it runs.
    pub image: Option<PathBuf>,
    /// The program's version.
    pub version: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Seconds since that was started.
    pub uptime_seconds: Option<u64>,
    /// Memory that is its own, in bytes.
    pub memory_bytes: Option<u64>,
    /// Its subsystems, in a fixed order.
    pub subsystems: Vec<SubsystemStatus>,
}

impl ModuleStatus {
    /// An empty slot.
    #[must_use]
    pub fn absent(slot: ModuleSlot) -> Self {
        Self {
            slot,
            present: false,
            role: ModuleRole::Absent,
            state: None,
            reason: None,
            old_state: None,
            old_reason: None,
            image: None,
            version: None,
            pid: None,
            uptime_seconds: None,
            memory_bytes: None,
            subsystems: Vec::new(),
        }
    }
}

/// One subsystem of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubsystemStatus {
    /// Its name: `config`, `ports`, `vlans`, `fdb`, …
    pub name: String,
    /// Its state.
    pub state: SubState,
    /// Why.
    pub reason: Reason,
    /// Its state before the last failover.
    pub old_state: Option<SubState>,
    /// Why.
    pub old_reason: Option<Reason>,
    /// Records that it holds.
    pub records: u64,
}

/// A change of mastership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverInfo {
    /// Why.
    pub cause: Cause,
    /// When, in milliseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ms: u64,
    /// Microseconds from the cause being noticed to the new master in charge.
    pub duration_us: u64,
    /// The slot that lost mastership.
    pub from: ModuleSlot,
    /// The slot that has it since.
    pub to: ModuleSlot,
    /// Whether no state of established flows was given up.
    pub hitless: bool,
    /// More about the cause, and about what was given up if it was not hitless: a panic's message, an exit
    /// status.
    pub detail: Option<String>,
}

/// How far a standby is behind its master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointLag {
    /// Records that it has not acknowledged.
    pub records: u64,
    /// Age of the oldest of them in milliseconds; 0 if there are none.
    pub ms: u64,
}

/// A bulk transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferInfo {
    /// When it ended, in milliseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Records sent.
    pub records: u64,
    /// Bytes sent.
    pub bytes: u64,
}

/// The failover timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverTimer {
    /// Whether it runs.
    pub running: bool,
    /// Seconds until it ends; 0 when it does not run.
    pub seconds_left: u32,
    /// Entries deleted when it last ended, because no live database knew them.
    pub deleted: u64,
}

/// An input that ended two masters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedInput {
    /// What it is: a frame of a protocol, a message.
    pub kind: String,
    /// Identifies it: its 64-bit hash, in hexadecimal.
    pub digest: String,
    /// When it was quarantined, in milliseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ms: u64,
    /// How often it came since and was dropped.
    pub dropped: u64,
}

/// The lease of the data path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// Its state.
    pub state: LeaseState,
    /// Milliseconds until it runs out unless it is renewed; 0 if it is not valid.
    pub ms_left: u64,
}

/// A failover under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverStartedInfo {
    /// The slot that gives mastership up.
    pub from: ModuleSlot,
    /// The slot that gets it.
    pub to: ModuleSlot,
    /// [`MsmFailoverInfo::generation`] of the old master.
    pub generation: u64,
}

/// Master, standby and hardware compared, whole contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MsmCheckInfo {
    /// Whether there was no difference.
    pub equal: bool,
    /// The slot of the standby that was compared.
    pub standby: ModuleSlot,
    /// Each table.
    pub tables: Vec<CheckedTable>,
}

/// One table, compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedTable {
    /// Its name.
    pub table: String,
    /// Entries of the master.
    pub master: u64,
    /// Entries of the standby; `null` if it keeps no such table.
    pub standby: Option<u64>,
    /// Entries of the hardware; `null` if it keeps no such table.
    pub hardware: Option<u64>,
    /// Entries that differ between any two.
    pub differences: u64,
    /// Some of them, a sentence each.
    pub examples: Vec<String>,
}

/// A page of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// Lines, the oldest first.
    pub lines: Vec<LogLine>,
    /// For [`super::Request::ShowLog::since`], to get what comes after these lines.
    pub next: u64,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in milliseconds since 1970-01-01 00:00 UTC.
    pub at_unix_ms: u64,
    /// Who said it.
    pub slot: ModuleSlot,
    /// Its process.
    pub pid: u32,
    /// How urgent.
    pub level: LogLevel,
    /// The sentence.
    pub message: String,
    /// Values that go with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// The running configuration was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedInfo {
    /// Which saved configuration it is.
    pub bank: ConfigBank,
    /// The file.
    pub path: PathBuf,
    /// Where the file before is now; `null` if there was none, or it said the same.
    pub previous: Option<PathBuf>,
    /// Whether it was overwritten where it is, because it could not be replaced at one stroke.
    pub in_place: bool,
}
