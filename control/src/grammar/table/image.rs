//! Images: the banks of both slots, what may be loaded into them, and which of them is booted.

use hitless_proto::config::{ConfigChange, ImageChange, UnsignedImages};

use super::show::SLOTS;
use super::{COMMAND, CONFIGURE, Command, OPERATE};
use crate::grammar::{Action, Matched};
use crate::northbound::api::{ImageBank, Request};

const BANKS: &[(&str, ImageBank)] = &[
    ("primary", ImageBank::Primary),
    ("secondary", ImageBank::Secondary),
];

const BANK_WORDS: [(&str, &str); 2] = [
    ("primary", "The primary bank"),
    ("secondary", "The secondary bank"),
];

fn change(change: ImageChange) -> Action {
    Action::Configure(ConfigChange::Image(change))
}

fn key(
    m: &Matched<'_>,
    to: fn(hitless_proto::config::ImageKey) -> ImageChange,
) -> Result<Action, String> {
    Ok(change(to(m.get("key")?)))
}

pub(super) static COMMANDS: &[Command] = &[
    Command {
        syntax: "download image <file:IMAGE> {primary | secondary}",
        help: "Load an image into a bank of both modules",
        details: "From a file, or with http or https. Into the selected bank unless told otherwise; into one that a \
                  module was booted from only if it is named. What is loaded is checked first: whole, for this \
                  machine, signed as the configuration asks. Nothing is started again: use image selects the bank, \
                  reboot slot boots it.",
        words: &[
            ("image", "An image"),
            ("<file>", "The file, or where it is: http:// or https://"),
            BANK_WORDS[0],
            BANK_WORDS[1],
        ],
        seeds: &[55],
        handler: |m| {
            Ok(Action::DownloadImage {
                file: m.get("file")?,
                bank: m.which(BANKS),
            })
        },
        ..OPERATE
    },
    Command {
        syntax: "show download image",
        help: "Show how far the load of an image is, or what became of the last one",
        words: &[
            ("download", "A load that is under way, or the last one"),
            ("image", "Of an image"),
        ],
        handler: |_| Ok(Action::Ask(Request::ShowDownload {})),
        ..COMMAND
    },
    Command {
        syntax: "use image [primary | secondary] {slot [msm-a | msm-b]}",
        help: "Choose the image that modules boot",
        details: "Of both slots unless told otherwise. Nothing is started again.",
        words: &[
            ("image", "The image that modules boot"),
            BANK_WORDS[0],
            BANK_WORDS[1],
            ("slot", "Only of the module in this slot"),
        ],
        seeds: &[54, 57, 59],
        handler: |m| {
            Ok(Action::Ask(Request::UseImage {
                bank: m.one_of(BANKS)?,
                slot: m.which(SLOTS),
            }))
        },
        ..OPERATE
    },
    Command {
        syntax: "configure image unsigned [allow | refuse]",
        help: "Say whether images are loaded that nobody signed",
        details: "They are refused unless told otherwise. An image that is signed with a key that the switch does not \
                  know is refused in any case.",
        words: &[
            ("unsigned", "Images that nobody signed"),
            ("allow", "They are loaded"),
            ("refuse", "They are not loaded"),
        ],
        handler: |m| {
            let policy = m.one_of(&[
                ("allow", UnsignedImages::Allow),
                ("refuse", UnsignedImages::Refuse),
            ])?;
            Ok(change(ImageChange::Unsigned { policy }))
        },
        ..CONFIGURE
    },
    Command {
        syntax: "configure image add key <key:IMAGE-KEY>",
        help: "Take images that are signed with this key",
        words: &[
            ("add", "One more key"),
            ("key", "Who may sign images"),
            KEY_WORD,
        ],
        handler: |m| key(m, |key| ImageChange::AddKey { key }),
        ..CONFIGURE
    },
    Command {
        syntax: "configure image delete key <key:IMAGE-KEY>",
        help: "Take images that are signed with this key no longer",
        details: "What is in the banks stays there.",
        words: &[
            ("delete", "One key less"),
            ("key", "Who may sign images"),
            KEY_WORD,
        ],
        handler: |m| key(m, |key| ImageChange::DeleteKey { key }),
        ..CONFIGURE
    },
];

const KEY_WORD: (&str, &str) = (
    "<key>",
    "The public key of minisign, from the second line of its .pub file",
);
