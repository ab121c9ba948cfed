//! Why the data path dropped a frame. Every drop is counted under one of these, at the ingress port; what goes
//! wrong on the way out (`mtu-exceeded`, `tx-failed`, `tag-failed`) at the egress port.

/// Declares the reasons once: the number on the wire between the two sides, the name that `show` prints and
/// the sentence that explains it.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $text:literal;)*) => {
        /// A reason for dropping a frame. Numbers are part of the map layout: never reuse one.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason {
            $(#[doc = $text] $variant = $number,)*
        }

        impl DropReason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in output, in words joined by `-`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

reasons! {
    UnknownPort = 0, "unknown-port", "The frame came in on a device that is no configured port.";
    PortDisabled = 1, "port-disabled", "The ingress port is disabled in the configuration.";
    Truncated = 2, "truncated", "The frame is shorter than its Ethernet or 802.1Q header.";
    VlanReserved = 3, "vlan-reserved", "The tag carries VLAN id 4095, which is reserved (IEEE 802.1Q 9.6).";
    UntaggedRefused = 4, "untagged-refused", "An untagged or priority-tagged frame came in on a port without a native VLAN, or that accepts tagged frames only.";
    TaggedRefused = 5, "tagged-refused", "A tagged frame came in on a port that accepts untagged frames only.";
    VlanUnknown = 6, "vlan-unknown", "The frame's VLAN is not configured on this switch.";
    VlanFiltered = 7, "vlan-filtered", "The ingress port is no member of the frame's VLAN (ingress filtering, IEEE 802.1Q 8.6.2).";
    PortBlocked = 8, "port-blocked", "The ingress port is not forwarding in the frame's VLAN.";
    SamePort = 9, "same-port", "The destination is known behind the port that the frame came from.";
    Blackhole = 10, "blackhole", "The source or destination has a blackhole entry.";
    EgressBlocked = 11, "egress-blocked", "The known destination's port is not forwarding in the frame's VLAN.";
    MtuExceeded = 12, "mtu-exceeded", "The frame is longer than the egress port's MTU.";
    StormBroadcast = 13, "storm-broadcast", "Storm control: more broadcast frames a second than configured.";
    StormMulticast = 14, "storm-multicast", "Storm control: more multicast frames a second than configured.";
    StormUnknown = 15, "storm-unknown", "Storm control: more unknown-unicast frames a second than configured.";
    NoEgress = 16, "no-egress", "No other port is forwarding in the frame's VLAN.";
    PuntLimit = 17, "punt-limit", "More control frames a second on this port than the control plane takes.";
    PuntFull = 18, "punt-full", "The control plane does not drain its ring of control frames (it may be down).";
    TxFailed = 19, "tx-failed", "The kernel refused the frame at the egress device (down, gone or out of memory).";
    TagFailed = 20, "tag-failed", "A VLAN tag could not be pushed or popped (no room in the frame's buffer).";
    NoMaster = 21, "no-master", "No master has renewed the lease for a while: the frame came from, or is for, a port of its VLAN that must not forward without one.";
}

/// Counters reserved for reasons in the map layout; a reason's number is below this.
pub const REASON_SLOTS: usize = if cfg!(feature = "edition-older") {
    24
} else if cfg!(feature = "edition-newer") {
    40
} else {
    32
};

const _: () = {
    let mut i = 0;
    while i < DropReason::ALL.len() {
        assert!(
            DropReason::ALL[i] as usize == i,
            "reasons are numbered without gaps, in order"
        );
        i += 1;
    }
    assert!(DropReason::ALL.len() <= REASON_SLOTS);
};
