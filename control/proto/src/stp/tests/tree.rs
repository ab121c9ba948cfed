//! The spanning tree of a network, worked out directly from costs and identifiers, and the comparison with what the
//! bridges came to.

use super::net::Net;
use crate::stp::*;
use hitless_common::PortNo;
use std::collections::BTreeMap;

/// Role of every port, by switch and port.
pub(super) fn expected(net: &Net) -> BTreeMap<(usize, PortNo), Role> {
    let n = net.switches.len();
    let id = |s: usize| net.switches[s].config.id();
    let state = |s: usize, p: PortNo| *net.switches[s].bridge.as_ref().unwrap().port(p).unwrap();
    let lans: Vec<_> = net.lans.iter().filter(|lan| lan.up).collect();
    // The root of each part of the network, then costs to it, both by going on until nothing changes.
    let mut root: Vec<_> = (0..n).map(id).collect();
    let mut cost = vec![u64::MAX; n];
    loop {
        let before = (root.clone(), cost.clone());
        for s in 0..n {
            if root[s] == id(s) {
                cost[s] = 0;
            }
        }
        for lan in &lans {
            for &(a, _) in &lan.ends {
                for &(b, at) in &lan.ends {
                    if root[a] < root[b] {
                        root[b] = root[a];
                        cost[b] = u64::MAX;
                    }
                    let step = u64::from(state(b, at).path_cost(CostMethod::Long));
                    if root[a] == root[b] && cost[a] != u64::MAX {
                        cost[b] = cost[b].min(cost[a] + step);
                    }
                }
            }
        }
        if before == (root.clone(), cost.clone()) {
            break;
        }
    }
    let port_id = |s: usize, p: PortNo| state(s, p).port_id();
    let mut roles = BTreeMap::new();
    let mut best: BTreeMap<usize, _> = BTreeMap::new();
    for lan in &net.lans {
        if !lan.up {
            for &end in &lan.ends {
                roles.insert(end, Role::Disabled);
            }
            continue;
        }
        let vector = |&(s, p): &(usize, PortNo)| (cost[s], id(s), port_id(s, p));
        let designated = *lan.ends.iter().min_by_key(|end| vector(end)).unwrap();
        for &(s, p) in &lan.ends {
            let role = if (s, p) == designated {
                Role::Designated
            } else if s == designated.0 {
                Role::Backup
            } else {
                let (cost, bridge, port) = vector(&designated);
                let step = u64::from(state(s, p).path_cost(CostMethod::Long));
                let path = (cost + step, bridge, port, port_id(s, p));
                let entry = best.entry(s).or_insert((path, p));
                if path < entry.0 {
                    *entry = (path, p);
                }
                Role::Alternate
            };
            roles.insert((s, p), role);
        }
    }
    for (s, (_, p)) in best {
        if root[s] != id(s) {
            roles.insert((s, p), Role::Root);
        }
    }
    roles
}

/// What is not as it should be: roles, and that exactly root and designated ports forward.
pub(super) fn differences(net: &Net) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((s, p), role) in expected(net) {
        let port = net.switches[s].bridge.as_ref().unwrap().port(p).unwrap();
        if port.role != role {
            wrong.push(format!(
                "switch {s} port {p} is {:?}, not {role:?}",
                port.role
            ));
        }
        let opening = if matches!(role, Role::Root | Role::Designated) {
            Opening::Forwarding
        } else {
            Opening::Discarding
        };
        let real = net.switches[s].hardware[&p];
        if real != opening || port.opening() != opening {
            wrong.push(format!(
                "switch {s} port {p} ({role:?}) is {:?}, in hardware {real:?}, not {opening:?}",
                port.opening()
            ));
        }
    }
    wrong
}

#[track_caller]
pub(super) fn assert_converged(net: &Net) {
    let wrong = differences(net);
    assert!(wrong.is_empty(), "at {} ms: {wrong:#?}", net.now);
}
