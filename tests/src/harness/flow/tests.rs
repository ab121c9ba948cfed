//! The flow proves itself: over a cable, over a switch with known faults, and frame by frame.

use super::*;
use crate::harness::features::{self, Feature};
use crate::harness::frames::Frame;
use crate::harness::port::Port;
use crate::harness::probe::{Faults, Redirect};
use crate::harness::run::Run;

const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
const B: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);
const MOMENT: Duration = Duration::from_secs(30);

/// Two stations on one cable.
fn cable(run: &Run) -> (Netns, Netns) {
    let (a, b) = (Netns::new(run, "a").unwrap(), Netns::new(run, "b").unwrap());
    a.veth("x", &b, "y").unwrap();
    (a, b)
}

/// Two stations with a switch between them that has the given faults.
fn faulty(run: &Run, faults: Faults) -> (Netns, Netns, Netns, [Redirect; 2]) {
    let (a, b) = (Netns::new(run, "a").unwrap(), Netns::new(run, "b").unwrap());
    let switch = Netns::new(run, "sw").unwrap();
    a.veth("x", &switch, "p1").unwrap();
    b.veth("y", &switch, "p2").unwrap();
    let redirects = [
        Redirect::tcx(&switch, "p1", "p2", faults).unwrap(),
        Redirect::tcx(&switch, "p2", "p1", Faults::default()).unwrap(),
    ];
    (a, b, switch, redirects)
}

#[test]
fn a_cable_loses_nothing_at_full_speed_both_ways() {
    let run = Run::new().unwrap();
    let (a, b) = cable(&run);
    let there = Spec::new("there", (&a, "x"), (&b, "y"), A, B);
    let back = Spec {
        cpu: 1,
        tag: Some(Tag::vid(10)),
        ..Spec::new("back", (&b, "y"), (&a, "x"), B, A)
    };
    let mut flows = [
        Flow::start(&there, "one").unwrap(),
        Flow::start(&back, "one").unwrap(),
    ];
    for phase in ["two", "three"] {
        for flow in &mut flows {
            flow.await_received(200_000, MOMENT).unwrap();
            flow.phase(phase).unwrap();
        }
    }
    for flow in flows {
        flow.await_received(200_000, MOMENT).unwrap();
        let report = flow.stop().unwrap();
        println!("{report}");
        assert!(report.is_hitless(), "{report}");
        let names: Vec<_> = report.phases.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three"]);
        let total = report.total();
        assert_eq!(total.sent, total.received);
        assert!(total.sent >= 600_000, "{report}");
    }
}

#[test]
fn an_xdp_sink_counts_the_same() {
    let run = Run::new().unwrap();
    let (a, b) = cable(&run);
    let spec = Spec {
        hook: Hook::Xdp,
        ..Spec::new("xdp", (&a, "x"), (&b, "y"), A, B)
    };
    let flow = Flow::start(&spec, "one").unwrap();
    flow.await_received(300_000, MOMENT).unwrap();
    let report = flow.stop().unwrap();
    println!("{report}");
    assert!(report.is_hitless(), "{report}");
}

#[test]
fn losses_are_counted_exactly() {
    let run = Run::new().unwrap();
    let faults = Faults {
        drop_every: 1000,
        repeat_every: 0,
    };
    let (a, b, _switch, _redirects) = faulty(&run, faults);
    // Small enough that the lost frames never fill the window.
    let spec = Spec {
        window: None,
        rate: Some(100_000),
        ..Spec::new("lossy", (&a, "x"), (&b, "y"), A, B)
    };
    let mut flow = Flow::start(&spec, "one").unwrap();
    flow.await_received(50_000, MOMENT).unwrap();
    flow.phase("two").unwrap();
    flow.await_received(50_000, MOMENT).unwrap();
    let report = flow.stop().unwrap();
    println!("{report}");
    assert!(!report.is_hitless());
    let total = report.total();
    // Numbers 0, 1000, 2000 ... of all that were sent.
    assert_eq!(total.lost, total.sent.div_ceil(1000), "{report}");
    let first = &report.phases[0];
    assert_eq!(first.lost, first.sent.div_ceil(1000), "{report}");
    assert_eq!((total.duplicated, total.reordered), (0, 0));
}

#[test]
fn a_full_window_is_written_off() {
    let run = Run::new().unwrap();
    let faults = Faults {
        drop_every: 1,
        repeat_every: 0,
    };
    let (a, b, _switch, _redirects) = faulty(&run, faults);
    let spec = Spec {
        window: Some(10),
        ..Spec::new("black hole", (&a, "x"), (&b, "y"), A, B)
    };
    let flow = Flow::start(&spec, "one").unwrap();
    let start = Instant::now();
    while start.elapsed() < 3 * PATIENCE {
        std::thread::yield_now();
    }
    let report = flow.stop().unwrap();
    let total = report.total();
    assert!(
        total.sent >= 20 && total.sent.is_multiple_of(10),
        "{report}"
    );
    assert_eq!((total.lost, total.received), (total.sent, 0), "{report}");
}

#[test]
fn duplicates_are_counted_exactly() {
    let run = Run::new().unwrap();
    let faults = Faults {
        drop_every: 0,
        repeat_every: 100,
    };
    let (a, b, _switch, _redirects) = faulty(&run, faults);
    let flow = Flow::start(&Spec::new("echo", (&a, "x"), (&b, "y"), A, B), "one").unwrap();
    flow.await_received(100_000, MOMENT).unwrap();
    let report = flow.stop().unwrap();
    println!("{report}");
    let total = report.total();
    assert_eq!(total.duplicated, total.sent.div_ceil(100), "{report}");
    assert_eq!((total.lost, total.reordered), (0, 0), "{report}");
}

#[test]
fn a_sink_tells_order_and_gaps_and_passes_what_is_not_its_flow() {
    let run = Run::new().unwrap();
    let (a, b) = cable(&run);
    let (from, to) = (Port::open(&a, "x").unwrap(), Port::open(&b, "y").unwrap());
    for (id, hook) in [(u32::MAX, Hook::TcxIngress), (u32::MAX - 1, Hook::Xdp)] {
        let sink = Sink::attach(&b, "y", hook, id, 128).unwrap();
        let numbered = |flow, phase, sequence| {
            Builder::new(A, B)
                .header(ProbeHeader {
                    flow,
                    kind: kind::FLOW,
                    phase,
                    sequence,
                })
                .build()
        };
        let _pinned = Pinned::new(0).unwrap();
        for sequence in [0, 1, 4, 2, 3, 3, 5] {
            from.send(&numbered(id, 0, sequence)).unwrap();
        }
        from.send(&numbered(id, 1, 127).tagged(Tag::vid(5)).tagged(Tag::vid(6)))
            .unwrap();
        // Not its own: another flow, another kind, no probe at all.
        let others = [
            numbered(id - 7, 0, 9),
            Frame::probe(A, B),
            Builder::new(A, B).ethertype(0x0800).build(),
        ];
        for frame in &others {
            from.send(frame).unwrap();
        }
        let passed = to.receive_until(|f| *f == others[2]).unwrap();
        if hook == Hook::Xdp {
            assert_eq!(passed, others);
        } else {
            // A packet socket sees frames before tcx does.
            assert_eq!(passed.len(), 8 + others.len());
        }
        let flow = sink.flow();
        assert_eq!((flow.received, flow.next, flow.unaccounted), (7, 128, 0));
        let phase = sink.phase(0);
        assert_eq!(
            (phase.received, phase.duplicated, phase.reordered),
            (6, 1, 2)
        );
        assert_eq!(sink.phase(1).received, 1);
        assert!(sink.phase(0).longest_gap_ns > 0 && flow.last_ns > 0);
        assert!(sink.has_seen(127) && !sink.has_seen(6) && !sink.has_seen(128));
        // A number or a phase out of range is told, not forgotten.
        from.send(&numbered(id, 0, 128)).unwrap();
        from.send(&numbered(id, 64, 7)).unwrap();
        from.send(&others[2]).unwrap();
        to.await_frame(&others[2]).unwrap();
        assert_eq!(sink.flow().unaccounted, 2);
    }
}

#[test]
fn a_flow_survives_a_cable_pulled_and_plugged() {
    let run = Run::new().unwrap();
    let (a, b) = cable(&run);
    features::set(&b, "y", Feature::Gro, true).unwrap();
    let mut flow = Flow::start(&Spec::new("cable", (&a, "x"), (&b, "y"), A, B), "up").unwrap();
    flow.await_received(1000, MOMENT).unwrap();
    flow.phase("down").unwrap();
    b.ip(&["link", "set", "y", "down"]).unwrap();
    b.ip(&["link", "set", "y", "up"]).unwrap();
    b.wait_until_up("y").unwrap();
    flow.phase("up again").unwrap();
    flow.await_received(1000, MOMENT).unwrap();
    let report = flow.stop().unwrap();
    println!("{report}");
    assert!(report.phases[0].is_hitless(), "{report}");
    assert!(report.phases[2].is_hitless(), "{report}");
}
