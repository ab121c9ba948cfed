//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::choice::START;
use crate::restart::SETTLED;
use crate::slot::Slot;

/// What `--help` prints.
pub const HELP: &str = "\
Starts and watches the management module of one slot of a Hitless switch.

Usage: hitless-boot --slot msm-a|msm-b [OPTIONS] -- COMMAND [ARGUMENT]...

COMMAND is hitlessd with its options. When it ends, the boot of the other slot is told how, and it is started again.
With image banks, the image of the selected bank takes the place of COMMAND's program, with the same options; if it can
not be used, that of the other bank does; if neither can, COMMAND is started as it stands.

Options:
  --slot SLOT        msm-a or msm-b
  --backplane DIR    Where the boots of both slots meet [default: /run/hitless]
  --images DIR       Image banks of both slots; without it, COMMAND is all there is to boot
  --settled-ms MS    Life after which an end is no failure in a row [default: 60000]
  --start-ms MS      Time that a bank's image has to arm its watchdog or tell its role, or it hangs [default: 30000]
  -h, --help         Print this
  -V, --version      Print the version

Signals: SIGTERM and SIGINT stop the module (SIGKILL after 5 s) and end the boot. When the boot dies, the module dies.
";

/// What is to be run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The slot.
    pub slot: Slot,
    /// Where the boots of both slots meet.
    pub backplane: PathBuf,
    /// Where the image banks are, if the slot has any.
    pub images: Option<PathBuf>,
    /// Life after which an end is the first of a row of failures.
    pub settled: Duration,
    /// Time that a bank's image has to arm its watchdog or to tell its role.
    pub start: Duration,
    /// The daemon, and its arguments.
    pub command: (OsString, Vec<OsString>),
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A boot.
    Run(Options),
    /// [`HELP`].
    Help,
    /// The version.
    Version,
}

/// Understands the arguments, the program's name not among them.
///
/// # Errors
/// In words, what is wrong with which argument.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
    let mut arguments = arguments.into_iter();
    let (mut slot, mut backplane, mut images) = (None, None, None);
    let (mut settled, mut start) = (None, None);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, mut value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        match name {
            "--" if value.is_none() => break,
            "-h" | "--help" => return Ok(Asked::Help),
            "-V" | "--version" => return Ok(Asked::Version),
            "--slot" | "--backplane" | "--images" | "--settled-ms" | "--start-ms" => {}
            _ => return Err(format!("{text:?} is not understood; see --help")),
        }
        let value = value.take().or_else(|| arguments.next());
        let value = value.ok_or_else(|| format!("{name} needs a value"))?;
        let told = value.to_string_lossy().into_owned();
        let twice = match name {
            "--slot" => {
                let parsed = told.parse::<Slot>().map_err(|e| format!("{told:?} {e}"))?;
                slot.replace(parsed).is_some()
            }
            "--backplane" => backplane.replace(PathBuf::from(value)).is_some(),
            "--images" => images.replace(PathBuf::from(value)).is_some(),
            _ => {
                let ms = told.parse::<u32>();
                let ms = ms.map_err(|e| format!("{name} {told:?}: {e}"))?;
                let place = match name {
                    "--start-ms" => &mut start,
                    _ => &mut settled,
                };
                place.replace(Duration::from_millis(ms.into())).is_some()
            }
        };
        if twice {
            return Err(format!("{name} is given twice"));
        }
    }
    let program = arguments
        .next()
        .ok_or("no command: give hitlessd and its options after --")?;
    Ok(Asked::Run(Options {
        slot: slot.ok_or("no slot: give --slot msm-a or --slot msm-b")?,
        backplane: backplane.unwrap_or_else(|| PathBuf::from("/run/hitless")),
        images,
        settled: settled.unwrap_or(SETTLED),
        start: start.unwrap_or(START),
        command: (program, arguments.collect()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Asked, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_whole_line() {
        let Ok(Asked::Run(options)) = words(
            "--slot=msm-b --backplane /run/x --images=/x --settled-ms 0 --start-ms 7 -- hitlessd --slot msm-b --help",
        ) else {
            panic!("not understood");
        };
        assert_eq!(options.slot, Slot::B);
        assert_eq!(options.backplane, PathBuf::from("/run/x"));
        assert_eq!(options.images, Some(PathBuf::from("/x")));
        assert_eq!(options.settled, Duration::ZERO);
        assert_eq!(options.start, Duration::from_millis(7));
        assert_eq!(options.command.0, "hitlessd");
        assert_eq!(options.command.1, ["--slot", "msm-b", "--help"]);
    }

    #[test]
    fn what_is_not_given_has_a_default() {
        let Ok(Asked::Run(options)) = words("--slot msm-a -- x") else {
            panic!("not understood");
        };
        assert_eq!(options.backplane, PathBuf::from("/run/hitless"));
        assert_eq!(options.images, None);
        assert_eq!((options.settled, options.start), (SETTLED, START));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, says) in [
            ("-- x", "no slot"),
            ("--slot msm-a", "no command"),
            ("--slot msm-a --", "no command"),
            ("--slot", "--slot needs a value"),
            ("--slot msm-c -- x", "\"msm-c\" is no slot"),
            ("--slot msm-a --slot msm-b -- x", "twice"),
            ("--settled-ms x -- x", "--settled-ms \"x\""),
            ("--fast -- x", "\"--fast\" is not understood"),
            ("hitlessd", "\"hitlessd\" is not understood"),
        ] {
            let error = words(line).expect_err(line);
            assert!(error.contains(says), "{line}: {error}");
        }
        assert_eq!(words("--slot msm-a --help"), Ok(Asked::Help));
        assert_eq!(words("-V"), Ok(Asked::Version));
    }
}
