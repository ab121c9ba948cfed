//! What the master answers to requests from [`crate::northbound`].

pub mod image;
mod running;
pub mod stpd;

use crate::{
    config_file::banks::Banks,
    hw::boot_seconds,
    master::{Master, PortState, Rollback},
    northbound::api::{
        ApiError, CounterSet, CountersInfo, ErrorKind, FdbInfo, FdbKind, FdbPage, FdbRow,
        HardwareWrites, LearningInfo, LinkState, MAX_FDB_PAGE, OffloadState, PortCounterSet,
        PortInfo, Reply, Request, SwitchInfo, VlanInfo, VlanRef,
    },
    offload::Offload,
};
use hitless_common::{Mac, PortNo, VlanId, map::fdb::FdbEntry};
use hitless_proto::{
    bridge::{
        learning::{Flush, Kind},
        table::Slot,
    },
    config::{PortConfig, VlanConfig},
    time::Epoch,
};

/// Buckets of the FDB that one page looks at, at the most: well under a millisecond, so that forwarding and
/// learning go on between the pages of a large table.
const PAGE_BUCKETS: u32 = 8_192;

/// What a page of the FDB is to hold.
struct Filter {
    vlan: Option<VlanId>,
    port: Option<PortNo>,
}

impl Filter {
    fn matches(&self, entry: &FdbEntry) -> bool {
        self.vlan.is_none_or(|v| entry.key.vlan() == Some(v))
            && self.port.is_none_or(|p| entry.port == p.get())
    }
}

impl Master {
    /// Does what a request asks. Taking the hardware down is the caller's, since it ends the master.
    ///
    /// # Errors
    /// What is wrong with the request; nothing was changed then.
    pub async fn answer(&mut self, request: &Request) -> Result<Reply, ApiError> {
        if let Some(answered) = self.configure(request).await {
            return answered;
        }
        match request {
            Request::ShowSwitch {} => Ok(Reply::Switch(Box::new(self.show_switch()))),
            Request::ShowPorts { port } => self.show_ports(*port),
            Request::ShowVlan { vlan } => self.show_vlan(vlan.as_ref()),
            Request::ShowFdb {
                vlan,
                port,
                mac,
                cursor,
                limit,
            } => {
                let filter = self.filter(vlan.as_ref(), *port)?;
                Ok(Reply::Fdb(match mac {
                    Some(mac) => self.show_address(&filter, *mac),
                    None => self.show_fdb(&filter, *cursor, *limit),
                }))
            }
            Request::ShowCounters {} => self.show_counters(),
            Request::ClearFdb { vlan, port, mac } => {
                let Filter { vlan, port } = self.filter(vlan.as_ref(), *port)?;
                let removed = self.learning.flush(&Flush {
                    port,
                    vlan,
                    mac: *mac,
                });
                Ok(Reply::FdbCleared {
                    removed: removed.into(),
                })
            }
            Request::ShowStpd { stpd, ports } => {
                stpd::show(&self.stp, &self.config, *stpd, ports.as_ref())
            }
            Request::ClearStpdCounters { stpd } => {
                stpd::clear_counters(&mut self.stp, &self.config, *stpd)
            }
            Request::RecoverStpdPorts { stpd, ports } => {
                let answer = stpd::recover(&mut self.stp, &self.config, *stpd, ports);
                self.follow_stp();
                answer
            }
            Request::CheckStpdMigration { stpd, ports } => {
                let answer = stpd::check_migration(&mut self.stp, &self.config, *stpd, ports);
                self.follow_stp();
                answer
            }
            Request::ShowVersion {}
            | Request::ShowSession {}
            | Request::DownloadImage { .. }
            | Request::ShowDownload {}
            | Request::UseImage { .. }
            | Request::ShowMsmFailover {}
            | Request::RunMsmFailover { .. }
            | Request::RebootSlot { .. }
            | Request::CheckMsmFailover {}
            | Request::ShowLog { .. }
            | Request::ClearQuarantine {}
            | Request::Upgrade { .. }
            | Request::ShowUpgrade {}
            | Request::AcceptUpgrade {}
            | Request::RollBackUpgrade { .. }
            | Request::Save { .. }
            | Request::UseConfiguration { .. }
            | Request::ShowConfiguration { .. }
            | Request::Configure { .. }
            | Request::ReplaceConfiguration { .. }
            | Request::ConfirmConfiguration {}
            | Request::RollbackConfiguration {}
            | Request::InjectFault { .. } => Err(refuse(
                "the request concerns the management module, not the switch",
            )),
            Request::ClearHardware {} => {
                let removed = self
                    .hardware
                    .clear()
                    .map_err(|e| ApiError::new(ErrorKind::Hardware, e.to_string()))?;
                Ok(Reply::HardwareCleared {
                    pins: removed.pins as u64,
                })
            }
        }
    }

    fn filter(&self, vlan: Option<&VlanRef>, port: Option<PortNo>) -> Result<Filter, ApiError> {
        let vlan = vlan.map(|v| v.resolve(&self.config)).transpose()?;
        if let Some(port) = port {
            self.port_config(port)?;
        }
        Ok(Filter { vlan, port })
    }

    fn port_config(&self, port: PortNo) -> Result<&PortConfig, ApiError> {
        self.config.ports.get(&port).ok_or_else(|| {
            ApiError::new(
                ErrorKind::NotFound,
                format!("port {port} is not configured; `show ports` lists those that are"),
            )
        })
    }

    fn show_switch(&mut self) -> SwitchInfo {
        let meta = self.hardware.meta.read();
        let stats = self.learning.stats();
        let table = self.learning.table();
        let used = table.len();
        let learned: u32 = PortNo::all().map(|p| self.learning.learned_on(p)).sum();
        let small = self
            .hardware
            .writes()
            .map(|(name, writes)| (name.to_string(), writes));
        SwitchInfo {
            name: self.config.switch.clone(),
            uptime_seconds: boot_seconds().saturating_sub(meta.created),
            // The management module knows them.
            modules: Vec::new(),
            fdb: FdbInfo {
                size: table.capacity(),
                used,
                static_entries: used.saturating_sub(learned),
                memory_bytes: self.hardware.fdb_bytes(),
                ageing_seconds: self.config.fdb.ageing_seconds.unwrap_or(0),
                full: stats.full,
            },
            generation: self.generation,
            adopted: self.hardware.adopted,
            hardware_writes: small
                .into_iter()
                .chain([("FDB".to_string(), stats.writes)])
                .collect::<HardwareWrites>(),
            repaired: self.repaired,
            sysname: self.config.snmp.sysname.as_str().into(),
            syscontact: self.config.snmp.syscontact.as_str().into(),
            syslocation: self.config.snmp.syslocation.as_str().into(),
            configuration: self.bank,
            config_file: Banks::new(&self.config_file).file(self.bank),
            unsaved: self.unsaved,
            rollback_seconds: self.rollback.as_ref().map(Rollback::seconds_left),
        }
    }

    fn show_ports(&self, only: Option<PortNo>) -> Result<Reply, ApiError> {
        if let Some(port) = only {
            self.port_config(port)?;
        }
        let ports = self
            .config
            .ports
            .iter()
            .filter(|(port, _)| only.is_none_or(|o| o == **port));
        let infos = ports
            .map(|(&port, config)| self.port_info(port, config))
            .collect::<Result<_, _>>()?;
        Ok(Reply::Ports(infos))
    }

    fn port_info(&self, port: PortNo, config: &PortConfig) -> Result<PortInfo, ApiError> {
        let absent = PortState::default();
        let state = self.ports.get(&port).unwrap_or(&absent);
        let device = state.device.as_ref();
        let choice = state.choice.as_ref().filter(|_| state.fault.is_none());
        Ok(PortInfo {
            port,
            device: config.device.as_str().into(),
            enabled: config.enabled,
            link: match device {
                None => LinkState::Absent,
                Some(device) if device.link_up => LinkState::Up,
                Some(_) => LinkState::Down,
            },
            device_state: match (device, &state.fault) {
                (_, Some(fault)) => fault.clone(),
                (None, None) => "waiting for the device".into(),
                (Some(_), None) => "attached".into(),
            },
            offload: match choice.map(|c| c.offload) {
                Some(Offload::Tc) => OffloadState::Tc,
                Some(Offload::Xdp) => OffloadState::Xdp,
                None => OffloadState::None,
            },
            offload_reason: match (choice, &state.fault) {
                (Some(choice), _) => choice.reason.clone(),
                (None, Some(_)) => "the device could not be attached".into(),
                (None, None) => "there is no device".into(),
            },
            configured_offload: config.offload,
            mtu: device.map(|d| d.mtu),
            speed_mbps: device.map(|d| d.speed_mbps).filter(|&speed| speed != 0),
            pvid: config.untagged,
            tagged: config.tagged.iter().copied().collect(),
            counters: self.counters(port.get())?,
        })
    }

    fn counters(&self, port: u16) -> Result<CounterSet, ApiError> {
        let counters = self
            .hardware
            .counters
            .read(port)
            .map_err(|e| ApiError::new(ErrorKind::Hardware, e.to_string()))?;
        Ok(CounterSet::from(&counters))
    }

    fn show_vlan(&self, only: Option<&VlanRef>) -> Result<Reply, ApiError> {
        let only = only.map(|v| v.resolve(&self.config)).transpose()?;
        let vlans = self
            .config
            .vlans
            .iter()
            .filter(|(vlan, _)| only.is_none_or(|o| o == **vlan));
        Ok(Reply::Vlans(
            vlans
                .map(|(&vlan, config)| self.vlan_info(vlan, config))
                .collect(),
        ))
    }

    fn vlan_info(&self, vlan: VlanId, config: &VlanConfig) -> VlanInfo {
        let entry = self.vlan(vlan);
        VlanInfo {
            vlan,
            name: config.name.clone(),
            untagged: entry.untagged.iter().collect(),
            tagged: entry
                .member
                .iter()
                .filter(|p| !entry.untagged.has(p.get()))
                .collect(),
            forwarding: entry.forwarding.iter().collect(),
            mac_count: self.learning.learned_in(vlan),
            mac_limit: config.mac_limit,
            learning: config.learning,
        }
    }

    fn show_address(&self, filter: &Filter, mac: Mac) -> FdbPage {
        let vlans = self
            .config
            .vlans
            .keys()
            .filter(|v| filter.vlan.is_none_or(|f| f == **v));
        let found = vlans
            .filter_map(|&vlan| self.learning.get(vlan, mac))
            .filter(|e| filter.matches(e));
        FdbPage {
            entries: found.filter_map(|e| row(&e, self.epoch())).collect(),
            next: None,
        }
    }

    /// A page from a cursor on, which is a bucket's number.
    fn show_fdb(&self, filter: &Filter, cursor: u64, limit: u32) -> FdbPage {
        let table = self.learning.table();
        let limit = if (1..=MAX_FDB_PAGE).contains(&limit) {
            limit
        } else {
            MAX_FDB_PAGE
        } as usize;
        let first = (cursor.min(u64::from(u32::MAX))) as u32;
        let end = first.saturating_add(PAGE_BUCKETS).min(table.buckets());
        let mut entries = Vec::new();
        for bucket in first..end {
            // A whole bucket at a time, so that the cursor is a bucket's number.
            let found = table
                .scan(bucket..bucket + 1)
                .map(|(_, entry): (Slot, FdbEntry)| entry);
            entries.extend(
                found
                    .filter(|e| filter.matches(e))
                    .filter_map(|e| row(&e, self.epoch())),
            );
            if entries.len() + hitless_common::map::fdb::BUCKET_ENTRIES > limit.max(4)
                && bucket + 1 < table.buckets()
            {
                return FdbPage {
                    entries,
                    next: Some(u64::from(bucket + 1)),
                };
            }
        }
        FdbPage {
            entries,
            next: (end < table.buckets()).then_some(u64::from(end)),
        }
    }

    fn show_counters(&self) -> Result<Reply, ApiError> {
        let mut ports = Vec::new();
        for &port in self.config.ports.keys() {
            ports.push(PortCounterSet {
                port,
                counters: self.counters(port.get())?,
            });
        }
        let no_port = self.counters(0)?;
        let stats = self.learning.stats();
        let learning = LearningInfo {
            learned: stats.learned,
            moved: stats.moved,
            aged: stats.aged,
            damped: stats.damped,
            limited_port: stats.limited_port,
            limited_vlan: stats.limited_vlan,
            full: stats.full,
            refused: stats.refused,
            deferred: ports.iter().map(|p| p.counters.learn_deferred).sum(),
        };
        let frames = self
            .control_frames
            .iter()
            .map(|(protocol, &n)| (protocol.to_string(), n))
            .collect();
        let mut counters = CountersInfo::new(ports, no_port, frames, learning);
        counters.spanning_tree = stpd::not_taken(&self.stp);
        Ok(Reply::Counters(Box::new(counters)))
    }
}

/// A rule forbids it.
fn refuse(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorKind::Refused, message)
}

/// An entry for people; `None` for a slot that the data path would not use.
fn row(entry: &FdbEntry, now: Epoch) -> Option<FdbRow> {
    let kind = match Kind::of(entry.flags) {
        Kind::Dynamic => FdbKind::Dynamic,
        Kind::Static => FdbKind::Static,
        Kind::Blackhole => FdbKind::Blackhole,
    };
    let age_seconds = if kind == FdbKind::Dynamic {
        now.seconds_since(Epoch::new(entry.epoch))
    } else {
        0
    };
    Some(FdbRow {
        vlan: entry.key.vlan()?,
        mac: entry.key.mac(),
        port: PortNo::new(entry.port),
        kind,
        age_seconds,
    })
}
