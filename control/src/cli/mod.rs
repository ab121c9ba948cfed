//! The command line: turns words into a request of [`crate::northbound::api`], and the answer into a table or
//! JSON. It decides nothing itself.

mod confirm;
mod failover;
#[cfg(test)]
mod fake;
mod follow;
mod grammar;
mod hardware;
mod live;
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
use follow::Follower;
use grammar::{Arguments, FdbFilter, NewEntry, Plan, Question, Task};
use render::Style;

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
    /// The master went away before it answered to a change. Exit code 4.
    #[error("{0}")]
    Interrupted(String),
    /// It was done, but what came of it is not what it should be. Exit code 5.
    #[error("{0}")]
    Verdict(String),
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
            Self::Interrupted(_) => 4,
            Self::Verdict(_) => 5,
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
            Self::Interrupted(message) => {
                json!({"error": {"kind": "interrupted", "message": message}})
            }
            Self::Verdict(message) => json!({"error": {"kind": "verdict", "message": message}}),
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
            let result = run(arguments, style, &mut output, &mut io::stderr());
            // What was found out before a failure is shown all the same.
            result.and(output.flush().map_err(Failure::from))
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

fn run(
    arguments: Arguments,
    style: Style,
    output: &mut impl Write,
    errors: &mut impl Write,
) -> Result<(), Failure> {
    let Arguments {
        switch,
        socket,
        json,
        wait,
        command,
    } = arguments;
    let run_dir = Path::new(RUN_DIR);
    // The words are understood before anyone is asked.
    let task = match command.plan().map_err(Failure::Usage)? {
        Plan::Session(task) => task,
        Plan::ClearHardware { yes } => {
            let target = target::find_for_hardware(run_dir, switch, socket)?;
            let pins = hardware::clear(&target, yes)?;
            return print(output, json, &json!({"pins": pins}), || {
                render::hardware_cleared(pins)
            });
        }
        Plan::Chassis(options) => {
            return chassis::run(&options).map_err(|e| Failure::Chassis(because(e.as_ref())));
        }
    };
    let mut session = Session {
        follower: Follower::new(target::find(run_dir, switch, socket)?, wait),
        style,
        json,
    };
    let result = match task {
        Task::Ask(question) => session.ask(&question, output),
        Task::Live { question, every } => session.live(&question, every, output),
        Task::FollowLog(arguments) => session.follow_log(&arguments, live::LOG_PAUSE, output),
        Task::Failover { force } => session.failover(force, output),
        Task::Reboot {
            slot,
            hard_reset,
            yes,
        } => session.reboot(slot, hard_reset, yes, output),
    };
    for change in session.follower.take_changes() {
        let notice = if json {
            json!({"notice": change}).to_string()
        } else {
            render::modules::change(&change)
        };
        writeln!(errors, "{notice}")?;
    }
    result
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

/// Questions to a switch.
struct Session {
    follower: Follower,
    style: Style,
    json: bool,
}

impl Session {
    fn ask(&mut self, question: &Question, output: &mut impl Write) -> Result<(), Failure> {
        let request = match question {
            Question::Fdb(filter) => return self.fdb(filter, output),
            Question::Fault(fault) => {
                let fault = fault.clone();
                return self.fault(&Request::InjectFault { fault }, output);
            }
            question => request(question),
        };
        let reply = if request.is_change() {
            self.follower.change(&request)?
        } else {
            self.follower.show(|client| client.call(&request))?
        };
        self.answer(&request, &reply, output)
    }

    fn answer(
        &mut self,
        request: &Request,
        reply: &Reply,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let style = self.style;
        match (request, reply) {
            (Request::ShowVersion {}, Reply::Version(daemon)) => {
                let own = VersionInfo::own();
                let both = json!({"hitless": own, "hitlessd": daemon});
                self.print(output, &both, || render::version(&own, daemon))
            }
            (Request::ShowSwitch {}, Reply::Switch(switch)) => {
                self.print(output, switch, || render::switch(switch))
            }
            (Request::ShowPorts { port }, Reply::Ports(ports)) => {
                self.print(output, ports, || match (port, ports.as_slice()) {
                    (Some(_), [port]) => render::port(port),
                    _ => render::ports(ports, style),
                })
            }
            (Request::ShowVlan { .. }, Reply::Vlans(vlans)) => {
                self.print(output, vlans, || render::vlans(vlans, style))
            }
            (Request::ShowCounters {}, Reply::Counters(counters)) => {
                self.print(output, counters, || render::counters(counters, style))
            }
            (Request::ShowMsmFailover {}, Reply::MsmFailover(info)) => {
                self.print(output, info, || render::modules::failover(info, style))
            }
            (Request::ShowLog { .. }, Reply::Log(page)) => {
                self.print(output, &page.lines, || render::modules::log(page))
            }
            (Request::CheckMsmFailover {}, Reply::MsmCheck(info)) => {
                self.print(output, info, || render::modules::check(info, style))?;
                if info.equal {
                    Ok(())
                } else {
                    Err(Failure::Verdict(
                        "master, standby and hardware are not equal".into(),
                    ))
                }
            }
            (Request::ClearFdb { .. }, Reply::FdbCleared { removed }) => {
                self.print(output, &json!({"removed": removed}), || {
                    render::fdb_cleared(*removed)
                })
            }
            (Request::CreateFdbEntry { vlan, mac, target }, Reply::Done {}) => {
                self.print(output, &json!({"done": true}), || {
                    render::created(vlan, *mac, *target)
                })
            }
            (Request::DeleteFdbEntry { vlan, mac }, Reply::Done {}) => {
                self.print(output, &json!({"done": true}), || {
                    render::deleted(vlan, *mac)
                })
            }
            (
                Request::ConfigureMsmFailover { .. }
                | Request::UnconfigureMsmFailover {}
                | Request::ConfigureSysRecoveryLevel { .. },
                Reply::Configured(info),
            ) => self.print(output, info, || render::modules::configured(info)),
            (Request::ClearQuarantine {}, Reply::QuarantineCleared { removed }) => {
                self.print(output, &json!({"removed": removed}), || {
                    render::modules::quarantine_cleared(*removed)
                })
            }
            (Request::Save {}, Reply::Saved(info)) => {
                self.print(output, info, || render::modules::saved(info))
            }
            (_, reply) => Err(self.follower.unexpected(reply)),
        }
    }

    fn fdb(&mut self, filter: &FdbFilter, output: &mut impl Write) -> Result<(), Failure> {
        let rows = self
            .follower
            .show(|client| client.fdb(filter.vlan.as_ref(), filter.port, filter.mac))?;
        if self.json {
            render::fdb_json(output, &rows)?;
        } else {
            render::fdb(output, &rows)?;
        }
        Ok(())
    }

    /// `debug fault`: most faults end the master before it can answer, which is what was asked for.
    fn fault(&mut self, request: &Request, output: &mut impl Write) -> Result<(), Failure> {
        let gone = match self.follower.change(request) {
            Ok(Reply::Done {}) => false,
            Err(Failure::Interrupted(_)) => true,
            Ok(other) => return Err(self.follower.unexpected(&other)),
            Err(failure) => return Err(failure),
        };
        self.print(output, &json!({"done": true, "gone": gone}), || {
            if gone {
                "The master went away.\n".into()
            } else {
                "Done; the master goes on.\n".into()
            }
        })
    }

    fn print(
        &self,
        output: &mut impl Write,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        print(output, self.json, value, text)
    }
}

/// What a question is to the switch.
fn request(question: &Question) -> Request {
    match question.clone() {
        Question::Version => Request::ShowVersion {},
        Question::Switch => Request::ShowSwitch {},
        Question::Ports(port) => Request::ShowPorts { port },
        Question::Vlan(vlan) => Request::ShowVlan { vlan },
        Question::Fdb(FdbFilter { vlan, port, mac }) => Request::ShowFdb {
            vlan,
            port,
            mac,
            cursor: 0,
            limit: 0,
        },
        Question::Counters => Request::ShowCounters {},
        Question::ClearFdb(FdbFilter { vlan, port, mac }) => Request::ClearFdb { vlan, port, mac },
        Question::Create(NewEntry { vlan, mac, target }) => {
            Request::CreateFdbEntry { vlan, mac, target }
        }
        Question::Delete { vlan, mac } => Request::DeleteFdbEntry { vlan, mac },
        Question::Modules => Request::ShowMsmFailover {},
        Question::Log(arguments) => arguments.request(None),
        Question::Configure(change) => Request::ConfigureMsmFailover { change },
        Question::Unconfigure => Request::UnconfigureMsmFailover {},
        Question::RecoveryLevel(level) => Request::ConfigureSysRecoveryLevel { level },
        Question::CheckModules => Request::CheckMsmFailover {},
        Question::ClearQuarantine => Request::ClearQuarantine {},
        Question::Save => Request::Save {},
        Question::Fault(fault) => Request::InjectFault { fault },
    }
}
