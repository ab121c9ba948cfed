//! The data path, frame by frame: rows of what the maps hold, the frame that comes in, and everything that must
//! come of it, run with the kernel's program test run (BPF_PROG_TEST_RUN) on the product's own object file.
//!
//! A test run knows no tag beside the frame and does not do the last redirect. So every row that can be sent is also
//! sent as a real frame through the attached TC program, which gets its tags beside the frame and whose frames arrive.
//!
//! [`tables`], [`row`] and [`rows`] only say what should be; [`program`], [`rig`] and [`check`] try it. [`random`]
//! has no expectations but that everything adds up and both programs agree. [`speed`] measures the same programs, [`figures`] tells what
//! has become slower.

pub mod check;
pub mod counts;
pub mod figures;
pub mod program;
pub mod random;
pub mod rig;
pub mod row;
pub mod rows;
pub mod sequences;
pub mod speed;
pub mod tables;

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::harness::ktap::{Case, Ctx};
use rig::Rig;
use row::Row;

/// Time for the cases with many frames, on a busy machine.
const LONG: Duration = Duration::from_secs(180);

/// The cases.
pub const CASES: &[Case] = &[
    Case::new(
        "dataplane.admission",
        "which frames a port lets in",
        |ctx| try_rows(ctx, rows::admission::rows()),
    ),
    Case::new(
        "dataplane.tags",
        "every kind of frame in, every kind of port out; tags inside tags",
        |ctx| try_rows(ctx, rows::tags::rows()),
    ),
    Case::new(
        "dataplane.lengths",
        "exactly the MTU passes, one octet more does not",
        |ctx| try_rows(ctx, rows::lengths::rows()),
    ),
    Case::new(
        "dataplane.control",
        "control frames are taken, copied or forwarded, within limits",
        |ctx| try_rows(ctx, rows::control::rows()),
    ),
    Case::new(
        "dataplane.fdb",
        "what the FDB says about source and destination",
        |ctx| try_rows(ctx, rows::fdb::rows()),
    ),
    Case::new(
        "dataplane.learning",
        "which sources are reported to the master",
        |ctx| try_rows(ctx, rows::learning::rows()),
    ),
    Case::new(
        "dataplane.storm",
        "three storm limits that know nothing of each other",
        |ctx| try_rows(ctx, rows::storm::rows()),
    ),
    Case::new(
        "dataplane.flood",
        "who gets a frame that is for all",
        |ctx| try_rows(ctx, rows::flood::rows()),
    ),
    Case::new(
        "dataplane.lease",
        "where a loop could be, only loop-free ports go on when the master's lease has run out",
        |ctx| try_rows(ctx, rows::lease::rows()),
    ),
    Case::new(
        "dataplane.sequences",
        "once a round; limits are used up",
        sequences,
    ),
    Case::new(
        "dataplane.frames",
        "every row with a real frame, tags beside it",
        real_frames,
    )
    .timeout(LONG),
    Case::new(
        "dataplane.random",
        "20,000 random frames: all accounted for, XDP and TC agree",
        random_frames,
    )
    .timeout(LONG),
    Case::new("dataplane.speed", "every path can be measured", measured).timeout(LONG),
];

fn try_rows(ctx: &Ctx, rows: Vec<Row>) -> Result<()> {
    Rig::with(ctx.run(), |rig| check::each(rig, &rows, check::test_runs))
}

fn real_frames(ctx: &Ctx) -> Result<()> {
    Rig::with(ctx.run(), |rig| {
        rig.attach()?;
        check::each(rig, &rows::all(), check::real_frame)
    })
}

fn sequences(ctx: &Ctx) -> Result<()> {
    Rig::with(ctx.run(), |rig| {
        sequences::reported_once_a_round(rig)?;
        sequences::every_source_is_reported(rig)?;
        sequences::limits_are_used_up(rig)?;
        sequences::the_lease_comes_and_goes(rig)
    })
}

fn random_frames(ctx: &Ctx) -> Result<()> {
    Rig::with(ctx.run(), random::frames)
}

fn measured(ctx: &Ctx) -> Result<()> {
    let figures = speed::nanoseconds(ctx.run(), 200)?;
    for figure in &figures {
        ctx.note(format!("{}: {:.1} ns", figure.name, figure.nanoseconds));
        ensure!(
            figure.nanoseconds.is_finite(),
            "no figure for {}",
            figure.name
        );
    }
    let names: std::collections::BTreeSet<_> = figures.iter().map(|f| &f.name).collect();
    ensure!(
        figures.len() == 16 && names.len() == 16,
        "figures for {names:?}"
    );
    Ok(())
}
