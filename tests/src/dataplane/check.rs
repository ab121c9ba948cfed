//! Tries a row in a test run of each program, and with a real frame.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{Context, Result, bail, ensure};
use hitless_common::map::events::LearnEvent;
use hitless_common::map::fdb::FdbKey;
use hitless_common::map::ports::flag;

use super::counts::Counts;
use super::program::{Entry, Punted, Ran, tc, xdp};
use super::rig::{Rig, STRANGER};
use super::row::{Learning, Row, Where, Xdp};
use super::tables::{EPOCH, OLD_EPOCH};
use crate::harness::frames::Frame;
use crate::harness::port::assert_received;

/// Tries rows and tells of every one that fails.
///
/// # Errors
/// Names the rows that failed and why.
pub fn each(rig: &mut Rig, rows: &[Row], check: fn(&mut Rig, &Row) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for row in rows {
        if let Err(error) = check(rig, row) {
            failed.push(format!("{}: {error:#}", row.name));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "{} of {} rows failed:\n{}",
        failed.len(),
        rows.len(),
        failed.join("\n")
    )
}

/// Test runs of both programs, as far as the row allows.
///
/// # Errors
/// Tells the first difference between what came of the frame and what should.
pub fn test_runs(rig: &mut Rig, row: &Row) -> Result<()> {
    if !matches!(row.tried, Where::XdpTestRun | Where::NotTcTestRun) {
        run_tc(rig, row).context("TC")?;
    }
    if row.tried == Where::TcTestRun {
        return Ok(());
    }
    run_xdp(rig, row).context("XDP")?;
    if row.tried == Where::XdpTestRun {
        return Ok(());
    }
    // A learning event that must wait is counted by each program that sees the frame.
    let waits = row.expect.learning == Learning::Deferred;
    if let (Xdp::Decides, [(to, _)], false) = (row.expect.xdp, &row.expect.out[..], waits) {
        // The same frame to a port that XDP can not reach is the TC program's.
        let mut row = row.clone();
        row.tables = row.tables.without(*to, flag::XDP_OUT);
        row.expect.xdp = Xdp::Leaves;
        run_xdp(rig, &row).context("XDP, egress without XDP")?;
    }
    Ok(())
}

/// A real frame, from outside through the attached TC program and out again, tags beside it.
///
/// # Errors
/// As [`test_runs`].
pub fn real_frame(rig: &mut Rig, row: &Row) -> Result<()> {
    if !matches!(row.tried, Where::Everywhere | Where::NotTcTestRun) {
        return Ok(());
    }
    rig.install(&row.tables)?;
    rig.arrived()?;
    let ((), counted) = rig.counting(|rig| rig.send(row.ingress, &row.frame))?;
    compare("counted", &counted, &row.counts())?;
    let arrived = rig.arrived()?;
    for port in row.tables.ports.keys().chain([&STRANGER]) {
        let expected: Vec<Frame> = row
            .expect
            .out
            .iter()
            .filter(|(to, _)| to == port)
            .map(|(_, frame)| frame.clone())
            .collect();
        let received = arrived.get(port).map_or(&[][..], |f| f);
        assert_received(received, &expected).with_context(|| format!("port {port}"))?;
    }
    side_effects(rig, row, true)
}

fn run_tc(rig: &mut Rig, row: &Row) -> Result<()> {
    rig.install(&row.tables)?;
    rig.arrived()?;
    let ifindex = rig.ifindex(row.ingress)?;
    let (ran, counted) =
        rig.counting(|rig| rig.path.run_tc(ifindex, row.frame.octets(), row.gso, 1))?;
    tc_outcome(rig, row, &ran)?;
    compare("counted", &counted, &row.counts())?;
    side_effects(rig, row, false)
}

fn tc_outcome(rig: &mut Rig, row: &Row, ran: &Ran) -> Result<()> {
    let mut arrived = rig.arrived()?;
    // The test run does not do the last redirect: that frame is in the output instead.
    let mut not_copied = Vec::new();
    for (port, frame) in &row.expect.out {
        let frames = arrived.entry(*port).or_default();
        match frames.iter().position(|f| f == frame) {
            Some(at) => {
                frames.swap_remove(at);
            }
            None => not_copied.push((port, frame)),
        }
    }
    arrived.retain(|_, frames| !frames.is_empty());
    ensure!(arrived.is_empty(), "not expected: {arrived:?}");
    let verdict = if not_copied.is_empty() {
        tc::SHOT
    } else {
        tc::REDIRECT
    };
    compare("verdict", &ran.verdict, &verdict)?;
    match not_copied[..] {
        [] => Ok(()),
        // A tag that was pushed is beside the frame; so is an inner tag after the outer one was popped. Rows with
        // real frames see it again.
        [(_, frame)] if ran.frame == *frame || ran.frame == frame.untagged() => Ok(()),
        [(port, frame)] => bail!("port {port} gets {:?}, not {frame:?}", ran.frame),
        _ => bail!(
            "missing, or the last of them is {:?}: {not_copied:?}",
            ran.frame
        ),
    }
}

fn run_xdp(rig: &mut Rig, row: &Row) -> Result<()> {
    rig.install(&row.tables)?;
    rig.arrived()?;
    let ifindex = rig.ifindex(row.ingress)?;
    let before = rig.path.all_counts()?;
    let (ran, counted) = rig.counting(|rig| rig.path.run_xdp(ifindex, row.frame.octets(), 1))?;
    if row.expect.xdp == Xdp::Leaves {
        compare("verdict", &ran.verdict, &xdp::PASS)?;
        compare("frame left", &ran.frame, &row.frame)?;
        compare("counted before TC", &counted, &Counts::default())?;
        if row.tried == Where::NotTcTestRun {
            return Ok(());
        }
        // Both programs together must do what TC does alone.
        let ran = rig.path.run_tc(ifindex, row.frame.octets(), row.gso, 1)?;
        tc_outcome(rig, row, &ran).context("then TC")?;
        compare(
            "counted by both",
            &rig.path.all_counts()?.since(&before),
            &row.counts(),
        )?;
        return side_effects(rig, row, false);
    }
    match &row.expect.out[..] {
        [] => compare("verdict", &ran.verdict, &xdp::DROP)?,
        [(_, frame)] => {
            compare("verdict", &ran.verdict, &xdp::REDIRECT)?;
            compare("frame", &ran.frame, frame)?;
        }
        more => bail!("XDP sends one frame, not {}", more.len()),
    }
    compare("counted", &counted, &row.counts())?;
    side_effects(rig, row, false)
}

/// Checks the rings and the FDB.
fn side_effects(rig: &mut Rig, row: &Row, tag_beside: bool) -> Result<()> {
    let mut punted = rig.path.punted()?;
    if row.tables.punt_full {
        punted.clear();
    }
    let expected = row.expect.punted.then(|| Punted {
        port: row.ingress,
        tci: row.tci(),
        frame: row.punted(tag_beside),
    });
    compare("to the control plane", &punted, &Vec::from_iter(expected))?;

    let learned = rig.path.learned()?;
    let event = |vid, moved| LearnEvent {
        key: FdbKey::from_raw(
            vid,
            row.frame
                .src()
                .unwrap_or(hitless_common::Mac::ZERO)
                .to_u64(),
        ),
        port: row.ingress,
        moved,
        reserved: 0,
    };
    let expected = match row.expect.learning {
        Learning::Unchecked => None,
        // A full ring is full of others' events.
        Learning::Deferred if row.tables.learn_full => None,
        Learning::Silent | Learning::Deferred => Some(vec![]),
        Learning::New(vid) => Some(vec![event(vid, 0)]),
        Learning::Moved(vid) => Some(vec![event(vid, 1)]),
    };
    if let Some(expected) = expected {
        compare("learned", &learned, &expected)?;
        let asleep = row.tables.asleep && expected.is_empty();
        compare("master still asleep", &rig.path.asleep()?, &asleep)?;
    }

    let mut entries: BTreeMap<FdbKey, Entry> = row
        .tables
        .fdb
        .iter()
        .map(|a| (a.key, (a.port, a.flags, OLD_EPOCH)))
        .collect();
    let mut found = rig.path.entries()?;
    match &row.expect.stamped {
        Some(stamped) => {
            for key in stamped {
                entries.get_mut(key).context("a stamp on no entry")?.2 = EPOCH;
            }
        }
        // Ports and flags must not change in any case.
        None => found.values_mut().for_each(|entry| entry.2 = OLD_EPOCH),
    }
    compare("FDB", &found, &entries)
}

fn compare<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<()> {
    ensure!(found == expected, "{what}: {found:?}, not {expected:?}");
    Ok(())
}
