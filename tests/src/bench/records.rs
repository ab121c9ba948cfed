//! How fast records go from a master to a standby: our own code on both sides, in one process and on one CPU,
//! without sockets and without a switch around it.

use std::time::Instant;

use anyhow::{Result, ensure};
use hitless::module::database::Memory;
use hitless_common::{Mac, VlanId};
use hitless_ha::link::Hello;
use hitless_ha::receiver::{self, Receiver};
use hitless_ha::record::FdbRecord;
use hitless_ha::schema::Subsystem;
use hitless_ha::sender::{self, Sender};
use hitless_ha::slot::ModuleSlot;

use super::rounds::{Limit, Subject, Table};

/// Records of one bracket: as many as a master takes from its ring of new addresses at a time.
const BRACKET: u32 = 16_384;
/// Brackets of one measurement: about a million records.
const BRACKETS: u32 = 61;
/// Buckets of the standby's table: room for them all.
const BUCKETS: u32 = 1 << 19;

/// Records put, sent, read, applied and acknowledged in a second.
///
/// # Errors
/// When they are not.
pub fn records(rounds: usize) -> Result<Table> {
    let mut pair = Pair::new()?;
    let put = || {
        let before = pair.receiver.counts().records;
        let start = Instant::now();
        for bracket in 0..BRACKETS {
            pair.bracket(bracket * BRACKET..(bracket + 1) * BRACKET)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let records = pair.receiver.counts().records - before;
        ensure!(
            records == u64::from(BRACKET * BRACKETS)
                && pair.sender.acked() == pair.sender.committed(),
            "{records} records were applied"
        );
        Ok(records as f64 / seconds / 1e6)
    };
    Table::measure(
        "changes of addresses: put, sent, read, applied, acknowledged; one CPU",
        "million records a second",
        rounds,
        &mut [Subject::new("records", put).limited(Limit::AtLeast(1.0))],
    )
}

/// Both ends of a link, and the standby's database.
struct Pair {
    sender: Sender,
    receiver: Receiver,
    database: Memory,
}

impl Pair {
    /// A standby that is ready, with nothing in its database.
    fn new() -> Result<Self> {
        let hello = |slot| Hello::new(slot, hitless_common::VERSION, "bench", 1);
        let mut pair = Self {
            sender: Sender::new(0, &hello(ModuleSlot::MsmA), sender::Limits::default()),
            receiver: Receiver::new(0, &hello(ModuleSlot::MsmB), receiver::Limits::default()),
            database: Memory::default(),
        };
        pair.database.size_fdb(BUCKETS)?;
        pair.exchange()?;
        while let Some(subsystem) = pair.sender.next_bulk() {
            pair.sender.begin_bulk(0, subsystem);
            pair.sender.end_bulk(0, subsystem);
            pair.exchange()?;
        }
        ensure!(
            pair.sender.ready() && pair.receiver.ready(),
            "the standby is not ready: {:?}",
            pair.sender.status(Subsystem::Fdb)
        );
        Ok(pair)
    }

    /// A bracket of new addresses in these slots.
    fn bracket(&mut self, slots: std::ops::Range<u32>) -> Result<()> {
        let mut open = self.sender.begin(0);
        for slot in slots {
            open.put(&FdbRecord {
                slot,
                vlan: VlanId::MIN,
                mac: Mac::from_u64(0x0200_0000_0000 + u64::from(slot)),
                port: 1,
                flags: 0,
                moves: 0,
                since: 0,
                held: false,
            });
        }
        open.commit();
        self.exchange()
    }

    /// What either end has to say reaches the other.
    fn exchange(&mut self) -> Result<()> {
        loop {
            let said = self.sender.outgoing();
            let (down, up) = (said.len(), self.receiver.outgoing().len());
            if down + up == 0 {
                return Ok(());
            }
            self.receiver.receive(0, said, &mut self.database)?;
            self.sender.sent(down);
            let said = self.receiver.outgoing();
            let up = said.len();
            self.sender.receive(0, said)?;
            self.receiver.sent(up);
        }
    }
}
