//! What the master sees of the switch, as the machine wants it.

use std::collections::{BTreeMap, VecDeque};

use hitless_boot::bank;
use hitless_boot::choice::Origin;
use hitless_boot::slot::Slot;
use hitless_boot::status::Status;
use hitless_common::DropReason;
use hitless_ha::slot::ModuleSlot;
use hitless_ha::upgrade::{Bank, Job, Now, Observed, Running, Sample, Standby, Takeover};
use hitless_proto::config::PortSelection;

use crate::answer::stpd;
use crate::hw::monotonic_nanoseconds;
use crate::images::store::{Images, own_origin};
use crate::logbook::unix_ms;
use crate::master::Master;
use crate::module::{Module, primary::Primary};
use crate::northbound::api::Reply;

/// This moment.
pub(super) fn now() -> Now {
    Now {
        unix_ms: unix_ms(),
        boot_ms: monotonic_nanoseconds() / 1_000_000,
    }
}

/// A slot as its boot calls it.
pub(super) fn boot_slot(slot: ModuleSlot) -> Slot {
    match slot {
        ModuleSlot::MsmA => Slot::A,
        ModuleSlot::MsmB => Slot::B,
    }
}

/// A bank as the boot calls it.
pub(super) fn boot_bank(bank: Bank) -> bank::Bank {
    match bank {
        Bank::Primary => bank::Bank::Primary,
        Bank::Secondary => bank::Bank::Secondary,
    }
}

/// A bank as an upgrade calls it.
pub(super) fn bank(bank: bank::Bank) -> Bank {
    match bank {
        bank::Bank::Primary => Bank::Primary,
        bank::Bank::Secondary => Bank::Secondary,
    }
}

fn origin(origin: Option<Origin>) -> Option<Bank> {
    match origin? {
        Origin::Bank(found) => Some(bank(found)),
        Origin::Factory => None,
    }
}

/// The master itself.
pub(super) fn master_runs(module: &Module) -> Running {
    Running {
        slot: module.slot,
        version: hitless_common::VERSION.into(),
        bank: origin(own_origin()),
        pid: std::process::id(),
    }
}

/// The standby, once it has introduced itself and its boot has told what it was started from.
pub(super) fn standby(module: &Module, primary: &Primary) -> Option<Standby> {
    let sender = primary.sender()?;
    let peer = sender.peer()?;
    let status = Status::read(&module.run_dir, boot_slot(peer.slot)).ok()?;
    if status.daemon != Some(peer.pid) {
        return None;
    }
    Some(Standby {
        running: Running {
            slot: peer.slot,
            version: peer.version.clone(),
            bank: origin(status.bank),
            pid: peer.pid,
        },
        ready: sender.ready(),
        state: sender.states().missing(),
    })
}

/// The counters now.
pub(super) fn sample(master: &Master) -> Sample {
    let mut sample = Sample {
        boot_ms: now().boot_ms,
        ..Sample::default()
    };
    // 0: devices that are no configured ports.
    let ports = master.config.ports.keys().map(|port| port.get()).chain([0]);
    for port in ports {
        let Ok(counters) = master.hardware.counters.read(port) else {
            continue;
        };
        sample.frames += counters.rx_frames;
        for &reason in DropReason::ALL {
            let frames = counters.drops[reason as usize];
            if frames > 0 {
                *sample.drops.entry(reason.name().into()).or_default() += frames;
            }
        }
    }
    sample
}

/// What neighbours would notice if it changed.
fn protocols(master: &Master) -> BTreeMap<String, String> {
    let all = PortSelection::All;
    let Ok(Reply::Stpds(domains)) = stpd::show(&master.stp, &master.config, None, Some(&all))
    else {
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for domain in domains {
        let Some(tree) = domain.tree else {
            continue;
        };
        let root = format!(
            "root {} at cost {}, {} topology changes",
            tree.root_id, tree.root_path_cost, tree.topology_changes
        );
        found.insert(format!("stpd {}", domain.name), root);
        for port in domain.ports {
            found.insert(
                format!("stpd {} port {}", domain.name, port.port),
                format!("{} {}", port.role, port.state),
            );
        }
    }
    found
}

/// Whether spanning tree is telling its neighbours of a change at the moment, and in which domain.
pub(super) fn topology_change(master: &Master) -> Option<String> {
    let Ok(Reply::Stpds(domains)) = stpd::show(&master.stp, &master.config, None, None) else {
        return None;
    };
    let changing = domains.into_iter().find(|domain| {
        domain
            .tree
            .as_ref()
            .is_some_and(|tree| tree.topology_change)
    });
    changing.map(|domain| domain.name.to_string())
}

/// Everything.
pub(super) fn observe(
    images: &Images,
    module: &Module,
    primary: &Primary,
    master: &Master,
    install: &Job,
    samples: &VecDeque<Sample>,
) -> Observed {
    let selected =
        ModuleSlot::BOTH.map(|slot| (slot, bank(images.banks.selected(boot_slot(slot)).0)));
    let counters = sample(master);
    let takeover = primary
        .was
        .as_ref()
        .and_then(|_| module.history.last())
        .map(|last| Takeover {
            cause: last.cause,
            hitless: last.hitless,
            detail: last.detail.clone(),
            took_us: last.duration_us,
        });
    Observed {
        master: master_runs(module),
        generation: master.generation,
        standby: standby(module, primary),
        selected: selected.into(),
        install: install.clone(),
        takeover,
        recent: counters.clone(),
        minute: samples.front().cloned().unwrap_or_else(|| counters.clone()),
        counters,
        protocols: protocols(master),
    }
}
