//! Filling the maps as a test's tables say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;
use hitless_common::limits::{MAX_PORTS, PORT_PROBES, PORT_SLOTS};
use hitless_common::map::events::LEARN_EVENTS_PER_ROUND;
use hitless_common::map::fdb::{FdbBucket, FdbEntry, FdbKey, buckets_for};
use hitless_common::map::limiter::PortLimiters;
use hitless_common::map::ports::{PortEntry, home_slot};
use hitless_common::map::vlans::VlanEntry;

use super::{DataPath, FDB_SIZE, SEED};
use crate::dataplane::tables::{Address, Bucket, Device, OLD_EPOCH, Port, Reported, Tables};

/// Number of a device that is not there.
const GONE: u32 = 0x7fff_ff00;

impl DataPath {
    /// Makes the maps hold these tables and nothing else. `device` tells the ifindex of a port's device, in the
    /// namespace of the calling thread. A new round of learning begins.
    ///
    /// # Errors
    /// When the kernel refuses a write, or two things would have to stand in one place.
    pub fn install(&mut self, tables: &Tables, device: impl Fn(u16) -> Result<u32>) -> Result<()> {
        self.clear()?;
        self.lease = tables.lease.until();
        self.begin_round(tables.asleep)?;
        let mut slots = BTreeMap::new();
        for (&number, port) in &tables.ports {
            let ifindex = match port.device {
                Device::Gone => GONE + u32::from(number),
                Device::Present | Device::NotInXdpTx => device(number)?,
            };
            let entry = PortEntry {
                ifindex,
                flags: port.flags,
                port: number,
                pvid: port.pvid,
                mtu: port.mtu,
            };
            place_port(&mut slots, port, entry)?;
            let index = u32::from(number);
            self.used.numbers.insert(index);
            self.egress.set(index, entry, 0)?;
            if port.device == Device::Present {
                self.xdp_tx.set(index, ifindex, None, 0)?;
            }
        }
        for (slot, entry) in slots {
            self.used.ports.insert(slot);
            self.ports.set(slot, entry, 0)?;
        }
        for (&vid, entry) in &tables.vlans {
            self.used.vlans.insert(vid.into());
            self.vlans.set(vid.into(), *entry, 0)?;
        }
        self.install_limits(tables)?;
        let left_out = self.install_fdb(&tables.fdb)?;
        ensure!(left_out.is_empty(), "no room in the FDB for {left_out:?}");
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        let used = std::mem::take(&mut self.used);
        for slot in used.ports {
            self.ports.set(slot, PortEntry::default(), 0)?;
        }
        for number in used.numbers {
            self.egress.set(number, PortEntry::default(), 0)?;
            self.limiters.set(number, PortLimiters::default(), 0)?;
            // Device 0 is none.
            self.xdp_tx.set(number, 0, None, 0)?;
        }
        for vid in used.vlans {
            self.vlans.set(vid, VlanEntry::default(), 0)?;
        }
        for bucket in used.buckets {
            self.fdb.set(bucket, FdbBucket::default(), 0)?;
        }
        Ok(())
    }

    fn install_limits(&mut self, tables: &Tables) -> Result<()> {
        let numbers: BTreeSet<u16> = tables
            .limits
            .keys()
            .chain(tables.reported.keys())
            .copied()
            .collect();
        for number in numbers {
            let mut limits = tables.limits.get(&number).copied().unwrap_or_default();
            if let Some(reported) = tables.reported.get(&number) {
                limits.learn_events = LEARN_EVENTS_PER_ROUND;
                limits.learn_round = match reported {
                    Reported::ItsShare => self.round,
                    Reported::ItsShareBefore => self.round - 1,
                };
            }
            self.used.numbers.insert(number.into());
            self.limiters.set(number.into(), limits, 0)?;
        }
        Ok(())
    }

    /// Makes the FDB hold these addresses; returns those that found no room.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub fn install_fdb(&mut self, addresses: &[Address]) -> Result<Vec<Address>> {
        let mut buckets: BTreeMap<u32, FdbBucket> = BTreeMap::new();
        let mut left_out = Vec::new();
        for address in addresses {
            let (first, second) = address.key.buckets(SEED, self.mask);
            let candidates = match address.bucket {
                Bucket::First => [first, first],
                Bucket::Second => [second, second],
                Bucket::Either => [first, second],
            };
            let entry = FdbEntry {
                key: address.key,
                port: address.port,
                flags: address.flags,
                epoch: OLD_EPOCH,
            };
            let placed = candidates.into_iter().any(|index| {
                let slots = &mut buckets.entry(index).or_default().0;
                let free = slots.iter_mut().find(|e| e.key == FdbKey::FREE);
                free.map(|slot| *slot = entry).is_some()
            });
            if !placed {
                left_out.push(*address);
            }
        }
        for (index, bucket) in buckets {
            self.used.buckets.insert(index);
            self.fdb.set(index, bucket, 0)?;
        }
        Ok(left_out)
    }
}

/// Puts an entry where the master would: into the first free slot from the device's own one on.
fn place_port(slots: &mut BTreeMap<u32, PortEntry>, port: &Port, entry: PortEntry) -> Result<()> {
    let slot = |probe: u32| (home_slot(entry.ifindex) + probe) & (PORT_SLOTS - 1);
    for probe in 0..port.crowd {
        let other = PortEntry {
            ifindex: GONE - 1 - probe,
            port: MAX_PORTS as u16,
            ..entry
        };
        slots.entry(slot(probe)).or_insert(other);
    }
    let probes = if port.crowd > 0 {
        // Also where nobody will find it.
        port.crowd..port.crowd + 1
    } else {
        0..PORT_PROBES
    };
    let free = probes.map(slot).find(|slot| !slots.contains_key(slot));
    slots.insert(free.context("no slot for a port")?, entry);
    Ok(())
}

/// `count` addresses whose first bucket, in an FDB of [`FDB_SIZE`], is the first bucket of this one.
#[must_use]
pub fn sharing_a_bucket(vid: u16, mac: Mac, count: usize) -> Vec<Mac> {
    let first = |mac: Mac| {
        FdbKey::from_raw(vid, mac.to_u64())
            .buckets(SEED, buckets_for(FDB_SIZE) - 1)
            .0
    };
    (0x0200_1000_0000..)
        .map(Mac::from_u64)
        .filter(|&other| other != mac && first(other) == first(mac))
        .take(count)
        .collect()
}
