//! Upgrades by one command.

use super::{COMMAND, Command, OPERATE};
use crate::grammar::{Action, UpgradeWords};
use crate::northbound::api::Request;

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "upgrade <image:FILE> ({conservative} & {dry-run} & {accept-within <time:DURATION>} & \
                 {probe <ports:PORT-PAIR>})",
        help: "Upgrade or downgrade both modules without losing a frame",
        details: "Looks first whether it can be done, and says what would be lost; installs the image in the banks that \
                  do not run, starts the standby with it, fails over, verifies, and starts the other module. It goes \
                  back by itself when a check fails, when frames are lost, when the new version dies, or when nobody \
                  says `upgrade accept` in time (45 minutes unless told otherwise; 0: it is accepted once it is \
                  verified). With conservative the old version waits in the other slot until it is accepted; with dry-run nothing \
                  is changed. With probe this command sends a thousand frames a second in at one port, to a station behind \
                  another, counts those that leave there, and has the switch go back if one is lost.",
        words: &[
            ("<image>", "The image file, on the switch"),
            (
                "conservative",
                "The old version waits in the other slot until it is accepted",
            ),
            (
                "dry-run",
                "Show what would be done and lost, and change nothing",
            ),
            ("accept-within", "Go back unless `upgrade accept` follows"),
            (
                "<time>",
                "Within this time; 0: it is accepted once it is verified",
            ),
            (
                "probe",
                "Send frames through the switch meanwhile; go back if one is lost",
            ),
            (
                "<ports>",
                "From the first to the second, which a station must be behind",
            ),
        ],
        seeds: &[54, 55, 56],
        handler: |m| {
            Ok(Action::Upgrade(UpgradeWords {
                file: m.get("image")?,
                conservative: m.has("conservative"),
                dry_run: m.has("dry-run"),
                accept_within: m.find("time")?,
                probe: m.find("ports")?,
            }))
        },
        ..OPERATE
    },
    Command {
        syntax: "upgrade status",
        help: "Follow an upgrade until it is over or waits to be accepted",
        words: &[(
            "status",
            "Follow it until it is over or waits to be accepted",
        )],
        handler: |_| Ok(Action::FollowUpgrade),
        ..COMMAND
    },
    Command {
        syntax: "upgrade accept",
        help: "Keep the new version",
        details: "After a conservative upgrade the other module is then started with the new version too.",
        words: &[("accept", "Keep the new version")],
        handler: |_| Ok(Action::Ask(Request::AcceptUpgrade {})),
        ..OPERATE
    },
    Command {
        syntax: "show upgrade",
        help: "Show how far an upgrade is, or how the last one ended",
        words: &[("upgrade", "How far it is, or how the last one ended")],
        handler: |_| Ok(Action::Ask(Request::ShowUpgrade {})),
        ..COMMAND
    },
    Command {
        syntax: "rollback",
        help: "Return to the version before the last upgrade, without losing a frame",
        details: "Also after it was accepted, as long as the old image is in its banks. It is asked for confirmation \
                  first.",
        words: &[],
        handler: |_| Ok(Action::RollBackUpgrade),
        ..OPERATE
    },
];
