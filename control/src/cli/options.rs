//! What can be said beside the command: options, the same for the program and for a line of the shell. Everything else
//! is words of the command.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use hitless_proto::config::SwitchName;

use crate::chassis;
use crate::grammar::{Line, Word};

/// How long a new master is looked for unless it is said otherwise.
const WAIT: Duration = Duration::from_secs(5);

/// Options that take a value.
const WITH_VALUE: [&str; 4] = ["switch", "socket", "wait", "every"];

/// Options that take none. The last two are the program's only.
const FLAGS: [&str; 4] = ["json", "yes", "help", "version"];

/// Shows and commands a Hitless switch.
///
/// Without a command: a shell, on a terminal; else the lines of the standard input are run, up to the first that fails.
/// Words of commands may be shortened as long as they are unambiguous: `hitless sh po`.
#[derive(Debug, Parser)]
#[command(
    name = "hitless",
    version,
    disable_help_subcommand = true,
    override_usage = "hitless [OPTIONS] [COMMAND]...\n       hitless [OPTIONS] chassis [CHASSIS OPTIONS]",
    after_help = "`hitless help` lists all commands, `hitless help WORDS` explains those that begin with WORDS.\n\n\
                  Exit codes: 0 done, 1 refused by the switch, 2 wrong usage, 3 switch not reachable, 4 the master went \
                  away during a change, 5 done, but not hitless or not equal."
)]
struct Program {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Own>,
}

/// Commands that are the program's, not the switch's.
#[derive(Debug, Subcommand)]
enum Own {
    /// Hold two management modules: for containers and labs
    Chassis(Box<chassis::Options>),
}

/// On a line of the shell.
#[derive(Debug, Parser)]
#[command(
    name = "",
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
struct OfLine {
    #[command(flatten)]
    options: Options,
}

/// The options.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Options {
    /// The switch; needed only if there are several [env: HITLESS_SWITCH]
    #[arg(long, value_name = "NAME")]
    pub switch: Option<SwitchName>,

    /// Its control socket [default: /run/hitless/<NAME>/control.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Answers, and errors, as JSON
    #[arg(long)]
    pub json: bool,

    /// How long to look for a new master when one goes away [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    wait: Option<Duration>,

    /// Show it again and again, whoever is master; Ctrl-C ends it
    #[arg(long, value_name = "SECONDS", value_parser = interval, allow_negative_numbers = true)]
    pub every: Option<Duration>,

    /// Do not ask before what interrupts forwarding
    #[arg(long)]
    pub yes: bool,
}

impl Options {
    /// How long to look for a new master when one goes away.
    pub fn wait(&self) -> Duration {
        self.wait.unwrap_or(WAIT)
    }

    /// Whether they say which switch is meant.
    pub fn names_switch(&self) -> bool {
        self.switch.is_some() || self.socket.is_some()
    }

    /// Whether both mean the same switch.
    pub fn same_switch(&self, other: &Self) -> bool {
        (&self.switch, &self.socket) == (&other.switch, &other.socket)
    }

    /// These, on top of those that the shell was started with.
    fn on_top_of(mut self, base: &Self) -> Self {
        if !self.names_switch() {
            self.switch.clone_from(&base.switch);
            self.socket.clone_from(&base.socket);
        }
        self.json |= base.json;
        self.wait = self.wait.or(base.wait);
        self.yes |= base.yes;
        self
    }
}

/// What a command line says.
#[derive(Debug)]
pub(super) enum Said {
    /// A command with its options; no words at all: a shell or a script.
    Command(Options, Line),
    /// `hitless chassis`.
    Chassis(Box<chassis::Options>),
}

/// Takes the program's arguments apart, without the program's name.
///
/// # Errors
/// What clap has to say, help and version included.
pub(super) fn of_program(arguments: Vec<String>) -> Result<Said, clap::Error> {
    let own = arguments.iter().position(|word| word == "chassis");
    if let Some(at) = own
        && is_options(&arguments[..at])
    {
        let name = "hitless".to_string();
        let program = Program::try_parse_from([name].into_iter().chain(arguments))?;
        return Ok(match program.command {
            Some(Own::Chassis(options)) => Said::Chassis(options),
            None => Said::Command(program.options, Line::default()),
        });
    }
    let (options, words) = split(arguments);
    let asks_for_help = options
        .iter()
        .any(|option| option == "--help" || option == "-h");
    if asks_for_help && !words.is_empty() {
        let words = ["help".to_string()].into_iter().chain(words);
        return Ok(Said::Command(
            Options::default(),
            Line::from_arguments(words),
        ));
    }
    let name = "hitless".to_string();
    let mut options = Program::try_parse_from([name].into_iter().chain(options))?.options;
    if !options.names_switch()
        && let Some(switch) = std::env::var_os("HITLESS_SWITCH").filter(|name| !name.is_empty())
    {
        let parsed = switch.to_str().map(str::parse::<SwitchName>);
        let Some(Ok(name)) = parsed else {
            let message = format!(
                "HITLESS_SWITCH={} is no name of a switch\n",
                switch.display()
            );
            return Err(clap::Error::raw(
                clap::error::ErrorKind::InvalidValue,
                message,
            ));
        };
        options.switch = Some(name);
    }
    Ok(Said::Command(options, Line::from_arguments(words)))
}

/// The words to be completed, if that is what the program is asked for: `complete -- WORDS`.
pub(super) fn completed(arguments: &[String]) -> Option<&[String]> {
    let at = arguments.iter().position(|word| word == "complete")?;
    let asked = arguments.get(at + 1).is_some_and(|word| word == "--");
    (asked && is_options(&arguments[..at])).then(|| &arguments[at + 2..])
}

/// Takes the options out of a line of the shell; the words that stay are where they were. What quotes make a word of is
/// no option.
///
/// # Errors
/// What is wrong with an option, a sentence.
pub(super) fn of_line(line: &mut Line, base: &Options) -> Result<Options, String> {
    let words = std::mem::take(&mut line.words);
    let mut options = Vec::new();
    for part in parts(words, |word: &Word| {
        (!word.quoted).then(|| word.text.clone())
    }) {
        match part {
            Part::Option(words) => options.extend(words.into_iter().map(|word| word.text)),
            Part::Word(word) => line.words.push(word),
        }
    }
    if let Some(word) = options.iter().find(|word| is_programs(word)) {
        return Err(format!(
            "{word} is for the program's own command line; in the shell, use help"
        ));
    }
    match OfLine::try_parse_from(options) {
        Ok(OfLine { options }) => Ok(options.on_top_of(base)),
        Err(error) => {
            let text = error.to_string();
            // Its first paragraph is what is wrong; the usage that follows is the program's.
            let text = text.split("\n\n").next().unwrap_or_default();
            Err(text.trim_start_matches("error: ").trim().to_string())
        }
    }
}

fn is_programs(word: &str) -> bool {
    ["--help", "-h", "--version", "-V"].contains(&word)
}

enum Part<T> {
    Option(Vec<T>),
    Word(T),
}

/// Tells options, with their values, from words. Everything after `--` is words.
fn parts<T>(words: Vec<T>, text: impl Fn(&T) -> Option<String>) -> Vec<Part<T>> {
    let mut parts = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match text(&word).as_deref() {
            Some("--") => {
                parts.extend(words.by_ref().map(Part::Word));
            }
            Some("-h" | "-V") => parts.push(Part::Option(vec![word])),
            Some(option) if option.starts_with("--") => {
                let (name, value) = option[2..]
                    .split_once('=')
                    .map_or((&option[2..], None), |(name, value)| (name, Some(value)));
                if FLAGS.contains(&name) || (WITH_VALUE.contains(&name) && value.is_some()) {
                    parts.push(Part::Option(vec![word]));
                } else if WITH_VALUE.contains(&name) {
                    parts.push(Part::Option(
                        [word].into_iter().chain(words.next()).collect(),
                    ));
                } else {
                    parts.push(Part::Word(word));
                }
            }
            _ => parts.push(Part::Word(word)),
        }
    }
    parts
}

/// Whether there is no word among them.
fn is_options(arguments: &[String]) -> bool {
    let parts = parts(arguments.to_vec(), |word: &String| Some(word.clone()));
    parts.iter().all(|part| matches!(part, Part::Option(_)))
}

/// The options and the words.
fn split(words: Vec<String>) -> (Vec<String>, Vec<String>) {
    let (mut options, mut rest) = (Vec::new(), Vec::new());
    for part in parts(words, |word: &String| Some(word.clone())) {
        match part {
            Part::Option(words) => options.extend(words),
            Part::Word(word) => rest.push(word),
        }
    }
    (options, rest)
}

/// A number of seconds, which may have a fraction.
fn seconds(word: &str) -> Result<Duration, String> {
    let number = word.parse().ok();
    number
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{word:?} is no number of seconds from 0 to 86400"))
}

/// An interval between two looks.
fn interval(word: &str) -> Result<Duration, String> {
    let interval = seconds(word)?;
    if interval < Duration::from_millis(100) {
        return Err(format!(
            "{word} s is less than 0.1 s, the shortest interval"
        ));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(line: &str) -> Result<Said, clap::Error> {
        of_program(line.split_whitespace().map(String::from).collect())
    }

    fn command(line: &str) -> (Options, String) {
        match program(line).unwrap() {
            Said::Command(options, line) => (options, line.text),
            Said::Chassis(_) => panic!("{line} is no chassis"),
        }
    }

    #[test]
    fn options_stand_anywhere() {
        for line in [
            "--switch sw1 --json --wait 2.5 show fdb vlan 10",
            "show --switch=sw1 fdb --json vlan 10 --wait=2.5",
            "show fdb vlan 10 --json --wait 2.5 --switch sw1",
        ] {
            let (options, words) = command(line);
            assert_eq!(words, "show fdb vlan 10", "{line}");
            assert_eq!(options.switch, Some("sw1".parse().unwrap()));
            assert_eq!(options.wait(), Duration::from_millis(2_500));
            assert!(options.json && !options.yes);
        }
    }

    #[test]
    fn other_words_are_the_commands_even_with_hyphens() {
        assert_eq!(
            command("run msm-failover --force").1,
            "run msm-failover --force"
        );
        assert_eq!(
            command("configure msm-failover timeout -5").1,
            "configure msm-failover timeout \"-5\""
        );
        let (options, words) = command("help -- show --json");
        assert!(!options.json);
        assert_eq!(words, "help show --json");
        assert_eq!(command("").1, "");
    }

    #[test]
    fn what_is_to_be_completed() {
        let words = |line: &str| -> Vec<String> { line.split(' ').map(String::from).collect() };
        let arguments = words("--json complete -- show --switch x ");
        assert_eq!(completed(&arguments).unwrap(), words("show --switch x "));
        assert_eq!(completed(&words("show vlan complete -- x")), None);
        assert_eq!(completed(&words("complete show")), None);
    }

    #[test]
    fn wrong_options_say_why() {
        for (line, why) in [
            ("show ports --every 0.01", "shortest interval"),
            ("show ports --wait x", "no number of seconds"),
            ("show ports --wait", "value is required"),
            ("--switch .. show ports", ""),
        ] {
            let error = program(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn help_is_about_the_words() {
        assert_eq!(command("show ports --help").1, "help show ports");
        let help = program("--help").unwrap_err();
        assert_eq!(help.exit_code(), 0);
        let text = help.to_string();
        assert!(
            text.contains("Exit codes:") && text.contains("--every"),
            "{text}"
        );
        assert_eq!(program("-V").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn the_chassis_has_options_of_its_own() {
        let said = program("--json chassis --config /x.yml -- --settled 3").unwrap();
        let Said::Chassis(options) = said else {
            panic!("{said:?}");
        };
        assert_eq!(options.config, PathBuf::from("/x.yml"));
        assert_eq!(program("chassis --nonsense").unwrap_err().exit_code(), 2);
        // A VLAN may have this name.
        assert_eq!(command("show vlan chassis").1, "show vlan chassis");
    }

    #[test]
    fn a_line_of_the_shell() {
        let base = Options {
            socket: Some("/base".into()),
            wait: Some(Duration::from_secs(9)),
            ..Options::default()
        };
        let mut line = Line::split("show --json vlan \"--yes\" --every 2").unwrap();
        let options = of_line(&mut line, &base).unwrap();
        let words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(words, ["show", "vlan", "--yes"]);
        // The caret of an error still finds its word.
        assert_eq!(&line.text[line.words[1].start..line.words[1].end], "vlan");
        assert_eq!(options.socket, Some("/base".into()));
        assert_eq!(options.every, Some(Duration::from_secs(2)));
        assert_eq!(options.wait(), Duration::from_secs(9));
        assert!(options.json && !options.yes);

        let mut line = Line::split("show ports --switch b").unwrap();
        let other = of_line(&mut line, &base).unwrap();
        assert_eq!((other.switch.is_some(), other.socket), (true, None));

        let mut line = Line::split("show ports --every 0").unwrap();
        let why = of_line(&mut line, &base).unwrap_err();
        assert!(why.contains("shortest interval"), "{why}");
        let mut line = Line::split("show ports --help").unwrap();
        assert!(of_line(&mut line, &base).unwrap_err().contains("use help"));
    }
}
