//! Frames in, frames out, and proof that nothing else came: after the frames of a case, fence frames go the
//! same way. A path keeps the order of frames, so once a port has its fence, every frame before it has arrived.
//! Nobody sleeps.
//!
//! Where XDP and TC meet there are two paths: XDP hands frames on at the end of a poll, and a fence that TC floods
//! may overtake them. There a second exchange of nothing but fences brings the rest.

use anyhow::{Context, Result};
use hitless_common::Mac;

use super::cpu::Pinned;
use super::frames::{Builder, Frame, ProbeHeader, Tag, next_number};
use super::layout::kind;
use super::port::{Port, assert_received};

/// Source address of fences.
pub const FENCE_SOURCE: Mac = Mac([0x02, 0xfe, 0xfe, 0xfe, 0xfe, 0xfe]);

/// A way for fences: what is sent on port `from` reaches each port of `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The port that sends.
    pub from: usize,
    /// The ports that must receive.
    pub to: Vec<usize>,
    /// The tag it is sent with.
    pub tag: Option<Tag>,
    /// Source address. It is learned in the fence's VLAN, behind each port that sends fences in turn.
    pub src: Mac,
    /// Destination address.
    pub dst: Mac,
}

/// How a port takes part in the VLAN that fences travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Not at all: what such a port receives is taken as it is after the others' fences have come.
    No,
    /// Sends and receives without a tag.
    Untagged,
    /// Sends and receives with this VLAN id.
    Tagged(u16),
}

impl Route {
    /// Two broadcasts that together reach every member of a VLAN: from the first member to the others, and from
    /// the second to the first. Empty when there are less than two members.
    #[must_use]
    pub fn broadcast(members: &[Member]) -> Vec<Self> {
        let inside: Vec<usize> = (0..members.len())
            .filter(|&i| members[i] != Member::No)
            .collect();
        let [first, second, ..] = inside[..] else {
            return Vec::new();
        };
        let route = |from: usize, to: Vec<usize>| Self {
            from,
            to,
            tag: match members[from] {
                Member::Tagged(vid) => Some(Tag::vid(vid)),
                Member::Untagged | Member::No => None,
            },
            src: FENCE_SOURCE,
            dst: Mac::BROADCAST,
        };
        vec![
            route(first, inside[1..].to_vec()),
            route(second, vec![first]),
        ]
    }

    /// A fence on this way, with its number.
    fn fence(&self) -> (u64, Frame) {
        let number = next_number();
        let frame = Builder::new(self.src, self.dst)
            .header(ProbeHeader {
                flow: std::process::id(),
                kind: kind::FENCE,
                phase: 0,
                sequence: number,
            })
            .build();
        (
            number,
            match self.tag {
                Some(tag) => frame.tagged(tag),
                None => frame,
            },
        )
    }
}

fn fence_number(frame: &Frame) -> Option<u64> {
    frame
        .probe_header()
        .filter(|h| h.kind == kind::FENCE)
        .map(|h| h.sequence)
}

/// Sends frames on ports (by their place in `ports`), then a fence on each route, and returns what every port
/// received without the fences. What came in before the call is in there too, so nothing goes unseen between
/// two calls.
///
/// # Errors
/// When a frame can not be sent or a fence does not come.
pub fn exchange(
    ports: &[Port],
    sends: &[(usize, Frame)],
    fences: &[Route],
) -> Result<Vec<Vec<Frame>>> {
    let port = |i: usize| {
        ports
            .get(i)
            .with_context(|| format!("no port {i} in this exchange of {}", ports.len()))
    };
    let mut awaited = vec![Vec::new(); ports.len()];
    {
        // Frames of different ports keep their order only if they go in on one CPU.
        let _pinned = Pinned::new(0)?;
        for (from, frame) in sends {
            port(*from)?.send(frame)?;
        }
        for route in fences {
            let (number, frame) = route.fence();
            port(route.from)?.send(&frame)?;
            for &to in &route.to {
                port(to)?;
                awaited[to].push(number);
            }
        }
    }
    let mut received = vec![Vec::new(); ports.len()];
    // Ports without a fence come last: by then the frames of the same CPU have arrived.
    let mut order: Vec<usize> = (0..ports.len()).collect();
    order.sort_by_key(|&i| awaited[i].is_empty());
    for i in order {
        let pending = &mut awaited[i];
        while !pending.is_empty() {
            let frames = ports[i]
                .receive_until(|f| fence_number(f).is_some_and(|n| pending.contains(&n)))
                .context("fence")?;
            if let Some(number) = frames.last().and_then(fence_number) {
                pending.retain(|n| *n != number);
            }
            received[i].extend(frames);
        }
        while let Some(frame) = ports[i].poll()? {
            received[i].push(frame);
        }
        received[i].retain(|f| fence_number(f).is_none());
    }
    Ok(received)
}

/// An exchange in which every port must receive exactly the frames named for it.
///
/// # Errors
/// As [`exchange`]; and when a port received something else, with port, missing and surplus frames.
pub fn expect(
    ports: &[Port],
    sends: &[(usize, Frame)],
    expected: &[(usize, Frame)],
    fences: &[Route],
) -> Result<()> {
    let received = exchange(ports, sends, fences)?;
    for (i, frames) in received.iter().enumerate() {
        let wanted: Vec<Frame> = expected
            .iter()
            .filter(|(to, _)| *to == i)
            .map(|(_, frame)| frame.clone())
            .collect();
        assert_received(frames, &wanted)
            .with_context(|| format!("port {i} ({}) after sending {sends:?}", ports[i].name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::netns::Netns;
    use crate::harness::run::Run;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 0x0b]);

    /// The kernel's bridge with three stations: a switch that we did not write.
    fn bridge(run: &Run) -> (Vec<Netns>, Vec<Port>) {
        let bridge = Netns::new(run, "bridge").unwrap();
        bridge
            .ip(&[
                "link",
                "add",
                "br0",
                "type",
                "bridge",
                "mcast_snooping",
                "0",
            ])
            .unwrap();
        bridge.ip(&["link", "set", "br0", "up"]).unwrap();
        let mut ports = Vec::new();
        let mut namespaces = Vec::new();
        for i in 0..3 {
            let station = Netns::new(run, &format!("h{i}")).unwrap();
            station.veth("eth1", &bridge, &format!("p{i}")).unwrap();
            bridge
                .ip(&["link", "set", &format!("p{i}"), "master", "br0"])
                .unwrap();
            ports.push(Port::open(&station, "eth1").unwrap());
            namespaces.push(station);
        }
        namespaces.push(bridge);
        (namespaces, ports)
    }

    #[test]
    fn a_bridge_floods_and_learns() {
        let run = Run::new().unwrap();
        let (_namespaces, ports) = bridge(&run);
        let fences = Route::broadcast(&[Member::Untagged; 3]);
        let flooded = Frame::probe(A, B);
        expect(
            &ports,
            &[(0, flooded.clone())],
            &[(1, flooded.clone()), (2, flooded)],
            &fences,
        )
        .unwrap();
        let back = Frame::probe(B, A);
        expect(&ports, &[(1, back.clone())], &[(0, back)], &fences).unwrap();
        let known = Frame::probe(A, B);
        expect(
            &ports,
            &[(0, known.clone())],
            &[(1, known.clone())],
            &fences,
        )
        .unwrap();
        // The same frame on the port where it must not come is noticed.
        let error = expect(&ports, &[(0, known.clone())], &[(2, known)], &fences).unwrap_err();
        assert!(format!("{error:#}").contains("not expected"), "{error:#}");
    }

    #[test]
    fn a_thousand_frames_keep_their_order() {
        let run = Run::new().unwrap();
        let (_namespaces, ports) = bridge(&run);
        let sends: Vec<_> = (0..1000)
            .map(|_| (0, Frame::probe(A, Mac::BROADCAST)))
            .collect();
        let fences = Route::broadcast(&[Member::Untagged; 3]);
        let received = exchange(&ports, &sends, &fences).unwrap();
        let sent: Vec<_> = sends.into_iter().map(|(_, frame)| frame).collect();
        assert_eq!(received, [vec![], sent.clone(), sent]);
    }

    #[test]
    fn broadcasts_reach_every_member() {
        let routes = Route::broadcast(&[
            Member::No,
            Member::Tagged(20),
            Member::Untagged,
            Member::Untagged,
        ]);
        assert_eq!((routes[0].from, &routes[0].to[..]), (1, &[2, 3][..]));
        assert_eq!(routes[0].tag, Some(Tag::vid(20)));
        assert_eq!((routes[1].from, &routes[1].to[..]), (2, &[1][..]));
        assert_eq!(routes[1].tag, None);
        assert!(Route::broadcast(&[Member::No, Member::Untagged]).is_empty());
    }
}
