//! The command line: turns words into a request of [`crate::northbound::api`], and the answer into a table or
//! JSON. It decides nothing itself.

mod grammar;
mod hardware;
mod render;
mod target;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use serde_json::json;

use crate::because::because;
use crate::chassis;
use crate::northbound::RUN_DIR;
use crate::northbound::api::{ApiError, Reply, Request, VersionInfo};
use crate::northbound::client::Client;
use grammar::{Arguments, FdbFilter, NewEntry, Plan, Question};
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
    /// The chassis could not start or go on. Exit code 1.
    #[error("{0}")]
    Chassis(String),
    /// The output can not be written. Exit code 1, or 0 if only its reader went away.
    #[error("can not write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_) | Self::Declined | Self::Chassis(_) | Self::Output(_) => 1,
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
            Self::Unreachable(message) => {
                json!({"error": {"kind": "unreachable", "message": message}})
            }
            Self::Chassis(message) => json!({"error": {"kind": "chassis", "message": message}}),
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
            let style = if io::stdout().is_terminal() {
                Style::Terminal
            } else {
                Style::Plain
            };
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
        let text = if json {
            failure.to_json().to_string()
        } else {
            format!("hitless: {failure}")
        };
        let _ = writeln!(io::stderr(), "{text}");
    }
    ExitCode::from(failure.exit_code())
}

fn run(arguments: Arguments, style: Style, output: &mut impl Write) -> Result<(), Failure> {
    let Arguments {
        switch,
        socket,
        json,
        command,
    } = arguments;
    let run_dir = Path::new(RUN_DIR);
    // The words are understood before anyone is asked.
    match command.plan().map_err(Failure::Usage)? {
        Plan::ClearHardware { yes } => {
            let target = target::find_for_hardware(run_dir, switch, socket)?;
            let pins = hardware::clear(&target, yes)?;
            print(output, json, &json!({"pins": pins}), || {
                render::hardware_cleared(pins)
            })
        }
        Plan::Chassis(options) => {
            chassis::run(&options).map_err(|e| Failure::Chassis(because(e.as_ref())))
        }
        Plan::Ask(question) => {
            let target = target::find(run_dir, switch, socket)?;
            let client = Client::connect(&target.socket).map_err(|error| target.explain(error))?;
            Session {
                client,
                target,
                style,
                json,
                output,
            }
            .ask(question)
        }
    }
}

/// Prints an answer as JSON or as text.
fn print(
    output: &mut impl Write,
    json: bool,
    value: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if json {
        serde_json::to_writer_pretty(&mut *output, value).map_err(io::Error::from)?;
        Ok(writeln!(output)?)
    } else {
        Ok(output.write_all(text().as_bytes())?)
    }
}

/// One question to a switch.
struct Session<'a, W> {
    client: Client,
    target: Target,
    style: Style,
    json: bool,
    output: &'a mut W,
}

impl<W: Write> Session<'_, W> {
    fn ask(&mut self, question: Question) -> Result<(), Failure> {
        let style = self.style;
        let request = match question {
            Question::Fdb(filter) => return self.fdb(&filter),
            Question::Version => Request::ShowVersion {},
            Question::Switch => Request::ShowSwitch {},
            Question::Ports(port) => Request::ShowPorts { port },
            Question::Vlan(vlan) => Request::ShowVlan { vlan },
            Question::Counters => Request::ShowCounters {},
            Question::ClearFdb(FdbFilter { vlan, port, mac }) => {
                Request::ClearFdb { vlan, port, mac }
            }
            Question::Create(NewEntry { vlan, mac, target }) => {
                Request::CreateFdbEntry { vlan, mac, target }
            }
            Question::Delete { vlan, mac } => Request::DeleteFdbEntry { vlan, mac },
        };
        let reply = self
            .client
            .call(&request)
            .map_err(|error| self.target.explain(error))?;
        match (&request, &reply) {
            (Request::ShowVersion {}, Reply::Version(daemon)) => {
                let own = VersionInfo::own();
                let both = json!({"hitless": own, "hitlessd": daemon});
                self.print(&both, || render::version(&own, daemon))
            }
            (Request::ShowSwitch {}, Reply::Switch(switch)) => {
                self.print(switch, || render::switch(switch))
            }
            (Request::ShowPorts { port }, Reply::Ports(ports)) => {
                self.print(ports, || match (port, ports.as_slice()) {
                    (Some(_), [port]) => render::port(port),
                    _ => render::ports(ports, style),
                })
            }
            (Request::ShowVlan { .. }, Reply::Vlans(vlans)) => {
                self.print(vlans, || render::vlans(vlans, style))
            }
            (Request::ShowCounters {}, Reply::Counters(counters)) => {
                self.print(counters, || render::counters(counters, style))
            }
            (Request::ClearFdb { .. }, Reply::FdbCleared { removed }) => self
                .print(&json!({"removed": removed}), || {
                    render::fdb_cleared(*removed)
                }),
            (Request::CreateFdbEntry { vlan, mac, target }, Reply::Done {}) => self
                .print(&json!({"done": true}), || {
                    render::created(vlan, *mac, *target)
                }),
            (Request::DeleteFdbEntry { vlan, mac }, Reply::Done {}) => {
                self.print(&json!({"done": true}), || render::deleted(vlan, *mac))
            }
            _ => Err(self.target.explain(self.client.unexpected(&reply))),
        }
    }

    fn fdb(&mut self, filter: &FdbFilter) -> Result<(), Failure> {
        let rows = self
            .client
            .fdb(filter.vlan.as_ref(), filter.port, filter.mac)
            .map_err(|error| self.target.explain(error))?;
        if self.json {
            render::fdb_json(self.output, &rows)?;
        } else {
            render::fdb(self.output, &rows)?;
        }
        Ok(())
    }

    fn print(
        &mut self,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        print(self.output, self.json, value, text)
    }
}
