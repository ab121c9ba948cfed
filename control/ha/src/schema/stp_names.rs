//! What the bits, codes and lists in records of spanning tree mean. As with fields: a version may add at the end of
//! each, and nothing is ever removed or renumbered.
//!
//! Priority vectors (802.1D-2004 17.5) are as in a BPDU: root identifier 8, root path cost 4, designated bridge
//! identifier 8, designated port identifier 2 octets. Times (17.18.5) are message age, max age, hello time and forward
//! delay, 2 octets each, in seconds. In both, the most significant octet is the first.

/// Declares bits: constants, and their names by number.
macro_rules! bits {
    ($($flag:ident = $bit:literal $name:literal;)*) => {
        /// Bits of the field `flags`.
        pub mod flag {
            $(
                #[doc = concat!("`", $name, "`.")]
                pub const $flag: u64 = 1 << $bit;
            )*
            /// All of them: number and name.
            pub const ALL: &[(u32, &str)] = &[$(($bit, $name)),*];
        }
    };
}

bits! {
    LINK_UP = 0 "link-up";
    FULL_DUPLEX = 1 "full-duplex";
    AGREE = 2 "agree";
    AGREED = 3 "agreed";
    DISPUTED = 4 "disputed";
    FORWARD = 5 "forward";
    FORWARDING = 6 "forwarding";
    LEARN = 7 "learn";
    LEARNING = 8 "learning";
    MCHECK = 9 "mcheck";
    NEW_INFO = 10 "new-info";
    OPER_EDGE = 11 "oper-edge";
    PROPOSED = 12 "proposed";
    PROPOSING = 13 "proposing";
    RCVD_RSTP = 14 "rcvd-rstp";
    RCVD_STP = 15 "rcvd-stp";
    RCVD_TC = 16 "rcvd-tc";
    RCVD_TC_ACK = 17 "rcvd-tc-ack";
    RCVD_TCN = 18 "rcvd-tcn";
    RE_ROOT = 19 "re-root";
    RESELECT = 20 "reselect";
    SELECTED = 21 "selected";
    SEND_RSTP = 22 "send-rstp";
    SYNC = 23 "sync";
    SYNCED = 24 "synced";
    TC_ACK = 25 "tc-ack";
    TC_PROP = 26 "tc-prop";
    UPDT_INFO = 27 "updt-info";
    GUARD_SHUT = 28 "guard-shut";
    ROOT_GUARDING = 29 "root-guarding";
    LOOP_GUARDING = 30 "loop-guarding";
}

/// States of the Port Receive machine; a code is a place in the list, here as below.
pub const PRX: &[&str] = &["discard", "receive"];
/// States of the Port Protocol Migration machine.
pub const PPM: &[&str] = &["checking-rstp", "selecting-stp", "sensing"];
/// States of the Bridge Detection machine.
pub const BDM: &[&str] = &["edge", "not-edge"];
/// States of the Port Information machine.
pub const PIM: &[&str] = &["disabled", "aged", "current"];
/// States of the Port Role Transitions machine.
pub const PRT: &[&str] = &[
    "disable-port",
    "disabled-port",
    "root-port",
    "designated-port",
    "block-port",
    "alternate-port",
];
/// States of the Port State Transition machine.
pub const PST: &[&str] = &["discarding", "learning", "forwarding"];
/// States of the Topology Change machine.
pub const TCM: &[&str] = &["inactive", "learning", "active"];
/// Values of infoIs.
pub const INFO_IS: &[&str] = &["received", "mine", "aged", "disabled"];
/// Port roles, of the fields `role` and `selected-role`.
pub const ROLE: &[&str] = &["disabled", "root", "designated", "alternate", "backup"];

/// What each of the 64-bit numbers in the field `counters` counts.
pub const COUNTERS: &[&str] = &[
    "rx-config",
    "rx-tcn",
    "rx-rst",
    "tx-config",
    "tx-tcn",
    "tx-rst",
    "malformed",
    "on-disabled",
    "other-version",
    "too-old",
    "own",
    "filtered",
    "on-edge",
    "bpdu-guard",
    "root-guard",
    "loop-guard",
    "info-aged",
    "disputed",
    "rx-topology-change",
    "forward-transitions",
];

/// All of this, a line an item.
pub(super) fn lines() -> Vec<String> {
    let lists = [
        ("prx", PRX),
        ("ppm", PPM),
        ("bdm", BDM),
        ("pim", PIM),
        ("prt", PRT),
        ("pst", PST),
        ("tcm", TCM),
        ("info-is", INFO_IS),
        ("role", ROLE),
        ("counter", COUNTERS),
    ];
    let bits = flag::ALL.iter();
    let mut lines: Vec<String> = bits
        .map(|(bit, name)| format!("stp flag {bit} {name}"))
        .collect();
    for (list, names) in lists {
        let names = names.iter().enumerate();
        lines.extend(names.map(|(code, name)| format!("stp {list} {code} {name}")));
    }
    lines
}
