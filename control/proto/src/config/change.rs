//! What an operator changes, one command each. Numbers that a rule of the configuration limits may be any
//! here: the rule is applied to them, and says what it wants.

use hitless_common::{Mac, PortNo};
use serde::{Deserialize, Serialize};

use super::{
    AcceptFrames, DeviceName, ImageKey, LinkAction, LoopFreePorts, OffloadMode, PortSelection,
    PreserveState, SlaveConfig, StaticTarget, StpdName, SysRecoveryLevel, UnsignedImages, VlanName,
    VlanRef, bounded,
};

mod stpd;

pub use stpd::{StpdChange, StpdPortChange};

/// One change of a configuration. A change to what is so already succeeds and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ConfigChange {
    /// `create vlan`.
    CreateVlan {
        /// Its name; `vlan<ID>` if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<VlanName>,
        /// Its id, 1 to 4094; the highest that is free if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<i64>,
    },
    /// `delete vlan`, with its memberships and configured addresses.
    DeleteVlan {
        /// Which.
        vlan: VlanRef,
    },
    /// `configure vlan`.
    Vlan {
        /// Which.
        vlan: VlanRef,
        /// What of it.
        change: VlanChange,
    },
    /// `configure port <port> device <device>`; makes the port if there is none.
    PortDevice {
        /// Which.
        port: PortNo,
        /// The Linux interface behind it.
        device: DeviceName,
    },
    /// `configure ports`, `enable ports`, `disable ports`.
    Ports {
        /// Which.
        ports: PortSelection,
        /// What of them.
        change: PortChange,
    },
    /// `unconfigure ports`: removes them, with their memberships and the configured addresses behind them.
    UnconfigurePorts {
        /// Which.
        ports: PortSelection,
    },
    /// `create fdbentry`.
    CreateFdbEntry {
        /// The address.
        mac: Mac,
        /// In which VLAN.
        vlan: VlanRef,
        /// Where its frames go.
        target: StaticTarget,
    },
    /// `delete fdbentry`.
    DeleteFdbEntry {
        /// The address.
        mac: Mac,
        /// In which VLAN.
        vlan: VlanRef,
    },
    /// `configure fdb`.
    Fdb(FdbChange),
    /// `configure snmp`.
    Snmp(SnmpChange),
    /// `unconfigure snmp`: the name is that of the switch again, the rest is empty.
    UnconfigureSnmp,
    /// `configure msm-failover`.
    MsmFailover(MsmFailoverChange),
    /// `unconfigure msm-failover`: disables hitless failover, as ExtremeWare has it by default.
    UnconfigureMsmFailover,
    /// `configure sys-recovery-level`.
    SysRecoveryLevel {
        /// Whose exceptions make a module fail over.
        level: SysRecoveryLevel,
    },
    /// `configure image`.
    Image(ImageChange),
    /// `create stpd`.
    CreateStpd {
        /// Its name.
        stpd: StpdName,
    },
    /// `delete stpd`; its VLANs stay, in no domain.
    DeleteStpd {
        /// Which; not s0.
        stpd: StpdName,
    },
    /// `unconfigure stpd`: all settings, those of ports included, are as by default again. Its VLANs stay, and
    /// which of them carries its BPDUs, and whether it is enabled.
    UnconfigureStpd {
        /// Which.
        stpd: StpdName,
    },
    /// `configure stpd`, `enable stpd`, `disable stpd`.
    Stpd {
        /// Which.
        stpd: StpdName,
        /// What of it.
        change: StpdChange,
    },
}

/// One change of a VLAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum VlanChange {
    /// Another id; its members and configured addresses go with it.
    Tag {
        /// 1 to 4094.
        id: i64,
    },
    /// Another name.
    Name {
        /// Unique.
        name: VlanName,
    },
    /// Makes ports members. One that is a member already changes from tagged to untagged, or back.
    AddPorts {
        /// Which.
        ports: PortSelection,
        /// How frames of the VLAN look on them.
        tagging: Tagging,
    },
    /// Ports are members no longer; the configured addresses that the VLAN has behind them go with them.
    DeletePorts {
        /// Which.
        ports: PortSelection,
    },
    /// How many addresses are learned in it.
    LimitLearning {
        /// 0 to 16,777,216; no limit if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<i64>,
    },
    /// Whether addresses are learned in it.
    Learning {
        /// Whether.
        enabled: bool,
    },
    /// The members that go on forwarding in it when no master has renewed the lease.
    LoopFreePorts {
        /// Which.
        ports: LoopFreePorts,
    },
}

/// How frames of a VLAN look on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tagging {
    /// They have a tag.
    Tagged,
    /// They have none: the VLAN is the port's native one.
    #[default]
    Untagged,
}

/// One change of ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PortChange {
    /// Whether they accept and send frames at all.
    Enabled {
        /// Whether.
        enabled: bool,
    },
    /// Which frames they take in.
    AcceptFrames {
        /// Which.
        frames: AcceptFrames,
    },
    /// Whether they refuse frames of VLANs that they are no members of.
    IngressFiltering {
        /// Whether.
        enabled: bool,
    },
    /// How their frames are forwarded.
    Offload {
        /// How.
        mode: OffloadMode,
    },
    /// Whether the operator vouches that the far ends of veth pairs are fit for XDP.
    TrustFarEnd {
        /// Whether.
        enabled: bool,
    },
    /// How many addresses are learned behind each.
    LimitLearning {
        /// 0 to 16,777,216; no limit if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<i64>,
    },
    /// How much each may flood.
    RateLimit {
        /// Of which frames.
        kind: StormKind,
        /// Frames a second, 1 to 4,294,967,295; no limit if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<i64>,
    },
}

/// The frames of one limit of [`super::StormControl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StormKind {
    /// Broadcast frames.
    Broadcast,
    /// Multicast frames.
    Multicast,
    /// Frames to unicast addresses that the FDB does not know.
    UnknownUnicast,
}

/// One change of the forwarding database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FdbChange {
    /// After how long an address that was not seen is forgotten.
    AgingTime {
        /// 10 to 1,000,000; 0: never.
        seconds: i64,
    },
    /// How many addresses it holds.
    Size {
        /// 64 to 16,777,216.
        entries: i64,
    },
    /// When an address that moves to and fro is held where it is.
    Damping {
        /// After more moves than these, up to 1,000,000; 0: never.
        moves: i64,
        /// In so many seconds, 1 to 3,600.
        within_seconds: i64,
        /// For so many seconds, 1 to 86,400.
        hold_seconds: i64,
    },
    /// No address is held. The two times stay as they are.
    DampingOff,
}

/// One change of what the switch says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SnmpChange {
    /// Its name, also in the shell's prompt.
    Sysname {
        /// 1 to 255 printable ASCII characters without blanks.
        #[serde(deserialize_with = "bounded::text")]
        text: String,
    },
    /// Whom to call.
    Syscontact {
        /// 0 to 255 printable ASCII characters.
        #[serde(deserialize_with = "bounded::text")]
        text: String,
    },
    /// Where it stands.
    Syslocation {
        /// 0 to 255 printable ASCII characters.
        #[serde(deserialize_with = "bounded::text")]
        text: String,
    },
}

/// One change of which images the switch takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageChange {
    /// What becomes of those that nobody signed.
    Unsigned {
        /// What.
        policy: UnsignedImages,
    },
    /// Takes images that are signed with this key.
    AddKey {
        /// The public key.
        key: ImageKey,
    },
    /// Takes them no longer.
    DeleteKey {
        /// The public key.
        key: ImageKey,
    },
}

/// One change of the failover settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MsmFailoverChange {
    /// Where a new master takes its configuration from.
    SlaveConfig(SlaveConfig),
    /// What becomes of ports and state.
    LinkAction {
        /// Of the ports.
        action: LinkAction,
        /// Of the state; none if it is not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preserve: Option<PreserveState>,
    },
    /// The failover timer.
    Timeout {
        /// 30 to 300.
        seconds: i64,
    },
    /// When a module is taken for lost. What is not given stays.
    Keepalive {
        /// 10 to 10,000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval_ms: Option<i64>,
        /// 2 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        misses: Option<i64>,
    },
    /// When a hanging module is ended.
    Watchdog {
        /// 50 to 60,000; 0: never.
        ms: i64,
    },
    /// How old a checkpoint may be.
    Freshness {
        /// 100 to 600,000.
        ms: i64,
    },
    /// How long the data path trusts a silent master.
    Lease {
        /// 1,000 to 60,000.
        ms: i64,
    },
}

impl ConfigChange {
    /// What the operator should know about it, a sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let notes: &[&str] = match self {
            Self::MsmFailover(change) => change.notes(),
            Self::UnconfigureMsmFailover => &[
                "Hitless failover is disabled: links are taken down, no state is preserved, the timeout is 60 s, and \
                 a new master uses its configuration file. Keepalives, watchdog, freshness and lease are as Hitless \
                 has them by default; sys-recovery-level is as it was.",
                "These are ExtremeWare's factory defaults. A switch of ours without a section msm_failover is set for \
                 hitless failover instead; to return there: configure msm-failover slave-config inherited, then \
                 configure msm-failover link-action keep-links-up preserve-state l2_l3.",
            ],
            Self::Image(ImageChange::Unsigned {
                policy: UnsignedImages::Allow,
            }) => &[
                "Images that nobody signed are loaded: whoever may write the file decides what this switch runs.",
            ],
            Self::Fdb(FdbChange::AgingTime { seconds: 0 }) => {
                &["Learned addresses are not aged: they stay until they move or are cleared."]
            }
            Self::Vlan {
                change: VlanChange::Learning { enabled: false },
                ..
            } => &[
                "Frames of this VLAN to an address without a configured entry are flooded to all its members.",
            ],
            Self::Ports {
                change: PortChange::TrustFarEnd { enabled: true },
                ..
            } => &[
                "Hitless can not see the far end of a veth pair: without a program for XDP there, frames are lost.",
            ],
            Self::Stpd { change, .. } => change.notes(),
            _ => &[],
        };
        notes.iter().map(|&note| note.into()).collect()
    }
}

impl MsmFailoverChange {
    fn notes(&self) -> &'static [&'static str] {
        match self {
            Self::LinkAction {
                action: LinkAction::KeepLinksUp,
                preserve: None,
            } => &[
                "Without preserve-state no layer 2 and layer 3 state is preserved, and a failover is not hitless.",
            ],
            Self::LinkAction {
                action: LinkAction::TakeLinksDown,
                ..
            } => &["A failover resets every port, and is not hitless."],
            Self::SlaveConfig(SlaveConfig::Flash) => &[
                "A new master starts from the configuration file: a failover is not hitless, and changes that are not \
                 saved are lost.",
            ],
            Self::Watchdog { ms: 0 } => {
                &["Without a watchdog only missed keepalives tell that a master hangs."]
            }
            _ => &[],
        }
    }
}
