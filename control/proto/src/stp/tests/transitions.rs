//! Every transition of the role transitions machine, one at a time (802.1D-2004 figures 17-20 to 17-23): from which state
//! and condition, and what exactly it does to its port and to the others. Topology change is in `topology`.

use super::net::{link, mac, port};
use crate::stp::machine::prt;
use crate::stp::*;

pub(super) const FWD_DELAY: u16 = 15;
pub(super) const MAX_AGE: u16 = 20;
pub(super) const HELLO: u16 = 2;

pub(super) type Set = fn(&mut PortState);

/// Nothing changes.
pub(super) const SAME: Set = |_| {};

/// A bridge of three ports; the first one has this role and rests in it, the others are designated and forward.
pub(super) fn at_rest(role: Role) -> Bridge {
    let mut bridge = Bridge::new(BridgeConfig::new(mac(9))).unwrap();
    for n in 1..=3 {
        let (port, link, config) = (port(n), link(true, true), PortConfig::DEFAULT);
        bridge.step(Input::AddPort { port, config, link }).unwrap();
    }
    for (i, port) in bridge.ports.iter_mut().enumerate() {
        let role = if i == 0 { role } else { Role::Designated };
        rest(port, role);
    }
    bridge.out = Output::default();
    bridge
}

fn rest(port: &mut PortState, role: Role) {
    let open = matches!(role, Role::Root | Role::Designated);
    (port.role, port.selected_role) = (role, role);
    (port.selected, port.updt_info, port.reselect) = (true, false, false);
    (port.learn, port.learning) = (open, open);
    (port.forward, port.forwarding) = (open, open);
    (port.pst, port.tcm) = match open {
        true => (PstState::Forwarding, TcmState::Active),
        false => (PstState::Discarding, TcmState::Inactive),
    };
    (port.sync, port.synced, port.re_root) = (false, true, false);
    (port.agree, port.agreed) = (role != Role::Designated, role == Role::Designated);
    (port.proposing, port.proposed, port.disputed) = (false, false, false);
    (port.new_info, port.tc_prop, port.tc_ack) = (false, false, false);
    (port.rr_while, port.rb_while, port.tc_while) = (0, 0, 0);
    (port.fd_while, port.edge_delay_while) = (0, 0);
    port.prt = match role {
        Role::Root => PrtState::RootPort,
        Role::Designated => PrtState::DesignatedPort,
        Role::Disabled => PrtState::DisabledPort,
        Role::Alternate | Role::Backup => PrtState::AlternatePort,
    };
    match role {
        Role::Root => port.rr_while = FWD_DELAY,
        Role::Designated => {}
        Role::Disabled => port.fd_while = MAX_AGE,
        Role::Alternate => port.fd_while = FWD_DELAY,
        Role::Backup => (port.fd_while, port.rb_while) = (FWD_DELAY, 2 * HELLO),
    }
}

/// The machine takes one step exactly where it has to.
pub(super) struct Case {
    name: &'static str,
    /// What is so before, beside the state of rest: of the port, and of the others.
    before: Set,
    others_before: Set,
    /// What the step does to the port, and to the others; `None`: there is no step.
    after: Option<(Set, Set)>,
}

/// A step that does something to its port only.
pub(super) fn own(name: &'static str, before: Set, after: Set) -> Case {
    all(name, before, SAME, after, SAME)
}

pub(super) fn all(
    name: &'static str,
    before: Set,
    others_before: Set,
    after: Set,
    others: Set,
) -> Case {
    Case {
        name,
        before,
        others_before,
        after: Some((after, others)),
    }
}

pub(super) fn none(name: &'static str, before: Set, others_before: Set) -> Case {
    Case {
        name,
        before,
        others_before,
        after: None,
    }
}

pub(super) fn run(role: Role, step: fn(&mut Bridge, usize) -> bool, cases: &[Case]) {
    let mut bridge = at_rest(role);
    let before = bridge.ports.clone();
    assert!(!step(&mut bridge, 0), "{role:?} rests");
    assert_eq!(bridge.ports, before);
    for case in cases {
        let name = case.name;
        let mut bridge = at_rest(role);
        (case.before)(&mut bridge.ports[0]);
        bridge.ports[1..].iter_mut().for_each(case.others_before);
        let mut expected = bridge.ports.clone();
        if let Some((after, others)) = case.after {
            after(&mut expected[0]);
            expected[1..].iter_mut().for_each(others);
        }
        assert_eq!(
            step(&mut bridge, 0),
            case.after.is_some(),
            "{role:?}: {name}"
        );
        assert_eq!(bridge.ports, expected, "{role:?}: {name}");
    }
}

const SYNC: Set = |p| p.sync = true;
const RE_ROOT: Set = |p| p.re_root = true;
const CLOSED: Set = |p| {
    (p.learn, p.learning, p.forward, p.forwarding) = (false, false, false, false);
};
const LEARNS: Set = |p| (p.forward, p.forwarding) = (false, false);

#[test]
fn a_role_that_is_selected_is_entered() {
    let enter = |to: Role, prt: PrtState, after: Set| {
        for from in [
            Role::Disabled,
            Role::Alternate,
            Role::Root,
            Role::Designated,
        ] {
            if from == to {
                continue;
            }
            let mut bridge = at_rest(from);
            bridge.ports[0].selected_role = to;
            let mut expected = bridge.ports.clone();
            (expected[0].role, expected[0].prt) = (to, prt);
            after(&mut expected[0]);
            // Not before it is selected, nor while the port's own information is not updated.
            for [selected, updt_info] in [[false, false], [true, true], [false, true]] {
                let port = &mut bridge.ports[0];
                (port.selected, port.updt_info) = (selected, updt_info);
                assert!(!prt::step(&mut bridge, 0), "{from:?} {to:?}");
            }
            let port = &mut bridge.ports[0];
            (port.selected, port.updt_info) = (true, false);
            assert!(prt::step(&mut bridge, 0));
            assert_eq!(bridge.ports, expected, "{from:?} {to:?}");
        }
    };
    const STOPS: Set = |p| (p.learn, p.forward) = (false, false);
    enter(Role::Disabled, PrtState::DisablePort, STOPS);
    enter(Role::Alternate, PrtState::BlockPort, STOPS);
    enter(Role::Backup, PrtState::BlockPort, STOPS);
    enter(Role::Root, PrtState::RootPort, |p| p.rr_while = FWD_DELAY);
    enter(Role::Designated, PrtState::DesignatedPort, SAME);
}

/// Figure 17-20.
#[test]
fn a_disabled_port() {
    const ENTERED: Set = |p| {
        p.prt = PrtState::DisabledPort;
        p.fd_while = MAX_AGE;
        p.synced = true;
        p.rr_while = 0;
        p.sync = false;
        p.re_root = false;
    };
    let cases = [
        own("DISABLED_PORT", |p| p.prt = PrtState::DisablePort, ENTERED),
        none(
            "still learning",
            |p| (p.prt, p.learning) = (PrtState::DisablePort, true),
            SAME,
        ),
        none(
            "still forwarding",
            |p| (p.prt, p.forwarding) = (PrtState::DisablePort, true),
            SAME,
        ),
        own("fdWhile", |p| p.fd_while -= 1, ENTERED),
        own("sync", SYNC, ENTERED),
        own("reRoot", RE_ROOT, ENTERED),
        own("synced", |p| p.synced = false, ENTERED),
    ];
    run(Role::Disabled, prt::step, &cases);
}

/// Figure 17-21.
#[test]
fn a_root_port() {
    let cases = [
        all(
            "ROOT_PROPOSED",
            |p| (p.proposed, p.agree) = (true, false),
            SAME,
            |p| (p.proposed, p.sync) = (false, true),
            SYNC,
        ),
        own(
            "ROOT_AGREED, all synced",
            |p| (p.agree, p.sync) = (false, true),
            |p| (p.agree, p.sync, p.new_info) = (true, false, true),
        ),
        own(
            "ROOT_AGREED again",
            |p| (p.proposed, p.sync) = (true, true),
            |p| (p.proposed, p.sync, p.new_info) = (false, false, true),
        ),
        none("not all synced", |p| p.agree = false, |p| p.synced = false),
        none(
            "not all selected",
            |p| p.agree = false,
            |p| p.selected = false,
        ),
        none(
            "not all in role",
            |p| p.agree = false,
            |p| p.role = Role::Alternate,
        ),
        all("REROOT", |p| p.forward = false, SAME, RE_ROOT, RE_ROOT),
        own("REROOTED", RE_ROOT, |p| p.re_root = false),
        own(
            "ROOT_LEARN by time",
            |p| {
                CLOSED(p);
                (p.re_root, p.rb_while) = (true, 1);
            },
            |p| (p.learn, p.fd_while) = (true, FWD_DELAY),
        ),
        own(
            "ROOT_LEARN at once",
            |p| {
                CLOSED(p);
                (p.re_root, p.fd_while) = (true, 7);
            },
            |p| (p.learn, p.fd_while) = (true, FWD_DELAY),
        ),
        none(
            "lately a backup port",
            |p| {
                CLOSED(p);
                (p.re_root, p.fd_while, p.rb_while) = (true, 7, 1);
            },
            SAME,
        ),
        none(
            "another was root port lately",
            |p| {
                CLOSED(p);
                (p.re_root, p.fd_while) = (true, 7);
            },
            |p| p.rr_while = 1,
        ),
        own(
            "ROOT_FORWARD by time",
            |p| {
                LEARNS(p);
                (p.re_root, p.rb_while) = (true, 1);
            },
            |p| p.forward = true,
        ),
        own(
            "ROOT_FORWARD at once",
            |p| {
                LEARNS(p);
                (p.re_root, p.fd_while) = (true, 7);
            },
            |p| (p.forward, p.fd_while) = (true, 0),
        ),
        own("ROOT_PORT", |p| p.rr_while = 3, |p| p.rr_while = FWD_DELAY),
    ];
    run(Role::Root, prt::step, &cases);
}

/// Figure 17-22.
#[test]
fn a_designated_port() {
    const DISCARDS: Set = |p| {
        p.learn = false;
        p.forward = false;
        p.disputed = false;
        p.fd_while = FWD_DELAY;
    };
    const SYNCED: Set = |p| (p.rr_while, p.synced, p.sync) = (0, true, false);
    /// Closed by timer, having proposed.
    const WAITS: Set = |p| {
        CLOSED(p);
        (p.agreed, p.proposing, p.fd_while) = (false, true, 9);
    };
    const LEARN: Set = |p| (p.learn, p.fd_while) = (true, FWD_DELAY);
    const FORWARD: Set = |p| (p.forward, p.fd_while, p.agreed) = (true, 0, true);
    let cases = [
        own(
            "DESIGNATED_DISCARD, sync",
            |p| (p.sync, p.synced) = (true, false),
            DISCARDS,
        ),
        own(
            "DESIGNATED_DISCARD, reRoot",
            |p| (p.re_root, p.rr_while) = (true, 3),
            DISCARDS,
        ),
        own(
            "DESIGNATED_DISCARD, disputed",
            |p| p.disputed = true,
            DISCARDS,
        ),
        own(
            "DESIGNATED_DISCARD, loop protection",
            |p| p.loop_guarding = true,
            DISCARDS,
        ),
        own(
            "DESIGNATED_DISCARD, learning only",
            |p| {
                LEARNS(p);
                (p.sync, p.synced) = (true, false);
            },
            DISCARDS,
        ),
        own(
            "DESIGNATED_DISCARD, disputed and closed",
            |p| {
                WAITS(p);
                p.disputed = true;
            },
            DISCARDS,
        ),
        own(
            "an edge port does not close",
            |p| (p.oper_edge, p.sync, p.synced) = (true, true, false),
            SYNCED,
        ),
        own(
            "DESIGNATED_PROPOSE",
            |p| {
                CLOSED(p);
                (p.agreed, p.fd_while) = (false, 9);
            },
            |p| (p.proposing, p.new_info, p.edge_delay_while) = (true, true, MIGRATE_TIME),
        ),
        own(
            "DESIGNATED_SYNCED, closed",
            |p| {
                WAITS(p);
                (p.synced, p.sync, p.rr_while) = (false, true, 5);
            },
            SYNCED,
        ),
        own("DESIGNATED_SYNCED, agreed", |p| p.synced = false, SYNCED),
        own(
            "DESIGNATED_SYNCED, edge",
            |p| (p.agreed, p.oper_edge, p.synced) = (false, true, false),
            SYNCED,
        ),
        own(
            "DESIGNATED_SYNCED, done",
            |p| (p.sync, p.rr_while) = (true, 4),
            SYNCED,
        ),
        own("DESIGNATED_RETIRED", RE_ROOT, |p| p.re_root = false),
        own(
            "DESIGNATED_LEARN by time",
            |p| {
                WAITS(p);
                p.fd_while = 0;
            },
            LEARN,
        ),
        own(
            "DESIGNATED_LEARN, agreed",
            |p| {
                WAITS(p);
                p.agreed = true;
            },
            LEARN,
        ),
        own(
            "DESIGNATED_LEARN, edge",
            |p| {
                WAITS(p);
                p.oper_edge = true;
            },
            LEARN,
        ),
        none("not by itself", WAITS, SAME),
        none(
            "held by loop protection",
            |p| {
                WAITS(p);
                (p.fd_while, p.loop_guarding) = (0, true);
            },
            SAME,
        ),
        none(
            "was root port lately",
            |p| {
                WAITS(p);
                (p.fd_while, p.re_root, p.rr_while) = (0, true, 2);
            },
            SAME,
        ),
        own(
            "DESIGNATED_FORWARD by time",
            |p| {
                LEARNS(p);
                (p.agreed, p.proposing) = (false, true);
            },
            FORWARD,
        ),
        own(
            "DESIGNATED_FORWARD, agreed",
            |p| {
                LEARNS(p);
                p.fd_while = 4;
            },
            FORWARD,
        ),
        own(
            "DESIGNATED_FORWARD, edge",
            |p| {
                LEARNS(p);
                (p.agreed, p.proposing, p.oper_edge, p.fd_while) = (false, true, true, 4);
            },
            FORWARD,
        ),
        own(
            "towards a bridge of 802.1D-1998 nothing is agreed",
            |p| {
                LEARNS(p);
                (p.agreed, p.proposing, p.send_rstp) = (false, true, false);
            },
            |p| (p.forward, p.fd_while) = (true, 0),
        ),
    ];
    run(Role::Designated, prt::step, &cases);
}

/// Figure 17-23.
#[test]
fn an_alternate_and_a_backup_port() {
    const ENTERED: Set = |p| {
        p.prt = PrtState::AlternatePort;
        p.fd_while = FWD_DELAY;
        p.synced = true;
        p.rr_while = 0;
        p.sync = false;
        p.re_root = false;
    };
    let cases = || {
        [
            own("ALTERNATE_PORT", |p| p.prt = PrtState::BlockPort, ENTERED),
            none(
                "still learning",
                |p| (p.prt, p.learning) = (PrtState::BlockPort, true),
                SAME,
            ),
            none(
                "still forwarding",
                |p| (p.prt, p.forwarding) = (PrtState::BlockPort, true),
                SAME,
            ),
            own("fdWhile", |p| p.fd_while = 3, ENTERED),
            own("sync", SYNC, ENTERED),
            own("reRoot", RE_ROOT, ENTERED),
            own("synced", |p| p.synced = false, ENTERED),
            all(
                "ALTERNATE_PROPOSED",
                |p| (p.proposed, p.agree) = (true, false),
                SAME,
                |p| (p.proposed, p.sync) = (false, true),
                SYNC,
            ),
            own(
                "ALTERNATE_AGREED, all synced",
                |p| p.agree = false,
                |p| (p.agree, p.new_info) = (true, true),
            ),
            own(
                "ALTERNATE_AGREED again",
                |p| p.proposed = true,
                |p| (p.proposed, p.new_info) = (false, true),
            ),
            none("not all synced", |p| p.agree = false, |p| p.synced = false),
        ]
    };
    run(Role::Alternate, prt::step, &cases());
    run(Role::Backup, prt::step, &cases());
    let backup = own(
        "BACKUP_PORT",
        |p| p.rb_while = 1,
        |p| p.rb_while = 2 * HELLO,
    );
    run(Role::Backup, prt::step, &[backup]);
}

/// An agreement that was not given before opens the neighbour's side: the standby has to know of it.
#[test]
fn a_new_agreement_waits_for_the_standby() {
    for role in [Role::Root, Role::Alternate, Role::Backup] {
        for agreed_before in [false, true] {
            let mut bridge = at_rest(role);
            let port = &mut bridge.ports[0];
            (port.agree, port.proposed) = (agreed_before, agreed_before);
            assert!(prt::step(&mut bridge, 0));
            assert_eq!(bridge.out.sync, !agreed_before, "{role:?}");
        }
    }
}
