//! The command line: turns words into a request of [`crate::northbound::api`], and the answer into a table or
//! JSON. It decides nothing itself.

mod grammar;
mod hardware;
mod render;
mod target;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use serde_json::json;

use crate::northbound::RUN_DIR;
use crate::northbound::api::{ApiError, Reply, Request, VersionInfo};
use crate::northbound::client::{Client, ClientError};
use grammar::{Arguments, Clear, Command, Create, Delete, Show};
use render::Style;
use target::Target;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The switch said no. Exit code 1.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The operator said no when asked. Exit code 1.
    #[error("nothing was changed")]
    Declined,
    /// The command makes no sense. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// There is no switch to talk to. Exit code 3.
    #[error("{0}")]
    Unreachable(String),
    /// The output can not be written. Exit code 1, or 0 if only its reader went away.
    #[error("can not write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_) | Self::Declined | Self::Output(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        }
    }

    /// As the API's errors look, with kinds of its own.
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Refused(error) => json!({"error": error}),
            Self::Declined => json!({"error": {"kind": "declined", "message": self.to_string()}}),
            Self::Usage(message) => json!({"error": {"kind": "usage", "message": message}}),
            Self::Unreachable(message) => json!({"error": {"kind": "unreachable", "message": message}}),
            Self::Output(_) => json!({"error": {"kind": "output", "message": self.to_string()}}),
        }
    }
}

/// Runs one command line, its first word being the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let json = words.iter().any(|word| word == "--json");
    let result = match Arguments::try_parse_from(&words) {
        Ok(arguments) => {
            let style = if io::stdout().is_terminal() { Style::Terminal } else { Style::Plain };
            let mut output = io::BufWriter::new(io::stdout().lock());
            run(arguments, style, &mut output).and_then(|()| Ok(output.flush()?))
        }
        // What clap prints for people, help included, is more than an error's message.
        Err(error) if !json || !error.use_stderr() => {
            // Nowhere to report that the report can not be written.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(error) => Err(Failure::Usage(error.to_string().trim_end().to_string())),
    };
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    if failure.exit_code() != 0 {
        let text = if json { failure.to_json().to_string() } else { format!("hitless: {failure}") };
        let _ = writeln!(io::stderr(), "{text}");
    }
    ExitCode::from(failure.exit_code())
}

fn run(arguments: Arguments, style: Style, output: &mut impl Write) -> Result<(), Failure> {
    let Arguments { switch, socket, json, command } = arguments;
    let run_dir = Path::new(RUN_DIR);
    if let Command::Clear(Clear::Hardware { yes }) = command {
        let target = target::find_for_hardware(run_dir, switch, socket)?;
        let pins = hardware::clear(&target, yes)?;
        return if json {
            write_json(output, &json!({"pins": pins}))
        } else {
            Ok(output.write_all(render::hardware_cleared(pins).as_bytes())?)
        };
    }
    // The words are understood before anyone is asked.
    let asked = Asked::from_command(command)?;
    let target = target::find(run_dir, switch, socket)?;
    let client = Client::connect(&target.socket).map_err(|error| target.explain(error))?;
    let mut session = Session { client, target, style, json, output };
    session.run(asked)
}

/// Connects to a switch, or says what its silence means.
fn connect(target: &Target) -> Result<Client, Failure> {
    Client::connect(&target.socket).map_err(|error| target.explain(error))
}

/// One command under way.
struct Session<'a, W> {
    client: Client,
    target: Target,
    style: Style,
    json: bool,
    output: &'a mut W,
}

impl<W: Write> Session<'_, W> {
    fn show(&mut self, show: Show) -> Result<(), Failure> {
        match show {
            Show::Version => {
                let daemon = match self.ask(&Request::ShowVersion {})? {
                    Reply::Version(version) => version,
                    other => return Err(self.unexpected(&other)),
                };
                let own = VersionInfo::own();
                let value = json!({"hitless": own, "hitlessd": daemon});
                self.print(&value, |_| render::version(&own, &daemon))
            }
            Show::Switch => match self.ask(&Request::ShowSwitch {})? {
                Reply::Switch(switch) => self.print(&switch, |_| render::switch(&switch)),
                other => Err(self.unexpected(&other)),
            },
            Show::Ports { port } => match self.ask(&Request::ShowPorts { port })? {
                Reply::Ports(ports) => self.print(&ports, |style| match (port, ports.as_slice()) {
                    (Some(_), [one]) => render::port(one),
                    _ => render::ports(&ports, style),
                }),
                other => Err(self.unexpected(&other)),
            },
            Show::Vlan { vlan } => match self.ask(&Request::ShowVlan { vlan })? {
                Reply::Vlans(vlans) => self.print(&vlans, |style| render::vlans(&vlans, style)),
                other => Err(self.unexpected(&other)),
            },
            Show::Counters => match self.ask(&Request::ShowCounters {})? {
                Reply::Counters(counters) => {
                    self.print(&counters, |style| render::counters(&counters, style))
                }
                other => Err(self.unexpected(&other)),
            },
            Show::Fdb { words } => {
                let filter = grammar::fdb_filter(&words).map_err(Failure::Usage)?;
                let rows = self
                    .client
                    .fdb(filter.vlan.as_ref(), filter.port, filter.mac)
                    .map_err(|error| self.target.explain(error))?;
                Ok(if self.json {
                    render::fdb_json(self.output, &rows)?
                } else {
                    render::fdb(self.output, &rows)?
                })
            }
        }
    }

    fn clear(&mut self, clear: Clear) -> Result<(), Failure> {
        match clear {
            Clear::Fdb { words } => {
                let grammar::FdbFilter { vlan, port, mac } =
                    grammar::fdb_filter(&words).map_err(Failure::Usage)?;
                match self.ask(&Request::ClearFdb { vlan, port, mac })? {
                    Reply::FdbCleared { removed } => {
                        self.print(&json!({"removed": removed}), |_| render::fdb_cleared(removed))
                    }
                    other => Err(self.unexpected(&other)),
                }
            }
            Clear::Hardware { .. } => unreachable!("done without a session"),
        }
    }

    fn create(&mut self, words: &[String]) -> Result<(), Failure> {
        let entry = grammar::new_entry(words).map_err(Failure::Usage)?;
        let text = render::created(&entry);
        let grammar::NewEntry { vlan, mac, target } = entry;
        self.done(&Request::CreateFdbEntry { vlan, mac, target }, text)
    }

    fn delete(&mut self, words: &[String]) -> Result<(), Failure> {
        let (mac, vlan) = grammar::entry(words).map_err(Failure::Usage)?;
        let text = format!("Deleted the entry of {mac} in VLAN {vlan}.\n");
        self.done(&Request::DeleteFdbEntry { vlan, mac }, text)
    }

    /// Asks for something that has nothing to tell but that it was done.
    fn done(&mut self, request: &Request, text: String) -> Result<(), Failure> {
        match self.ask(request)? {
            Reply::Done {} => self.print(&json!({"done": true}), |_| text),
            other => Err(self.unexpected(&other)),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Failure> {
        self.client.call(request).map_err(|error| self.target.explain(error))
    }

    fn unexpected(&self, reply: &Reply) -> Failure {
        self.target.explain(self.client.unexpected(reply))
    }

    fn print(&mut self, value: &impl Serialize, text: impl FnOnce(Style) -> String) -> Result<(), Failure> {
        if self.json {
            write_json(self.output, value)
        } else {
            Ok(self.output.write_all(text(self.style).as_bytes())?)
        }
    }
}

fn write_json(output: &mut impl Write, value: &impl Serialize) -> Result<(), Failure> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(io::Error::from)?;
    Ok(writeln!(output)?)
}
