//! Does what commands say: asks the switch, and shows the answer as a table or as JSON.

use std::cell::Cell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;
use serde_json::json;

use super::failure::Failure;
use super::follow::Follower;
use super::live;
use super::options::{self, Options};
use super::ports::Look;
use super::render::{self, Style};
use super::shell::Interrupts;
use super::target::Target;
use super::{configuration, hardware, image_file, target};
use crate::grammar::{self, Action, Line, Parsed, SessionAction};
use crate::northbound::RUN_DIR;
use crate::northbound::api::{ConfiguredInfo, Reply, Request};

/// A way to a switch, and how its answers are shown.
pub(super) struct Session {
    pub follower: Follower,
    pub style: Style,
    pub options: Options,
    /// Ctrl-C ends what is going on, not the program.
    pub interrupts: Option<Rc<Interrupts>>,
    /// Nothing but commands can come from the standard input.
    pub stdin_is_script: bool,
    /// Whether the last change left something that is not saved.
    unsaved: Cell<bool>,
    /// The ports as they were when they were last looked at for rates.
    pub looked: Option<Look>,
}

impl Session {
    /// A way to the switch that the options name, or the only one there is.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn new(options: Options, style: Style) -> Result<Self, Failure> {
        let (switch, socket) = (options.switch.clone(), options.socket.clone());
        let target = target::find(Path::new(RUN_DIR), switch, socket)?;
        Ok(Self::with(target, options, style))
    }

    /// As [`Session::new`], also of a switch of which only the hardware is left.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn for_hardware(options: Options, style: Style) -> Result<Self, Failure> {
        let (switch, socket) = (options.switch.clone(), options.socket.clone());
        let target = target::find_for_hardware(Path::new(RUN_DIR), switch, socket)?;
        Ok(Self::with(target, options, style))
    }

    /// A way to that switch.
    pub fn with(target: Target, options: Options, style: Style) -> Self {
        Self {
            follower: Follower::new(target, options.wait()),
            style,
            options,
            interrupts: None,
            stdin_is_script: false,
            unsaved: Cell::new(false),
            looked: None,
        }
    }

    /// Lets Ctrl-C end what is going on.
    pub fn set_interrupts(&mut self, interrupts: Rc<Interrupts>) {
        self.follower.interrupts = Some(interrupts.clone());
        self.interrupts = Some(interrupts);
    }

    /// As [`Session::run`], with the options of one line.
    pub fn run_line(
        &mut self,
        options: Options,
        parsed: &Parsed,
        output: &mut impl Write,
        errors: &mut impl Write,
    ) -> Result<(), Failure> {
        if !options.same_switch(&self.options) {
            let mut other = Self::new(options, self.style)?;
            other.stdin_is_script = self.stdin_is_script;
            if let Some(interrupts) = &self.interrupts {
                other.set_interrupts(interrupts.clone());
            }
            return other.run(parsed, output, errors);
        }
        self.follower.set_wait(options.wait());
        let base = std::mem::replace(&mut self.options, options);
        let result = self.run(parsed, output, errors);
        self.options = base;
        result
    }

    /// Does what a line says, and tells on `errors` of changes of mastership meanwhile.
    pub fn run(
        &mut self,
        parsed: &Parsed,
        output: &mut impl Write,
        errors: &mut impl Write,
    ) -> Result<(), Failure> {
        let result = self.perform(parsed, output);
        // What was found out before a failure is shown all the same.
        let result = result.and(output.flush().map_err(Failure::from));
        for change in self.follower.take_changes() {
            let notice = if self.options.json {
                json!({"notice": change}).to_string()
            } else {
                render::modules::change(&change)
            };
            writeln!(errors, "{notice}")?;
        }
        result
    }

    fn perform(&mut self, parsed: &Parsed, output: &mut impl Write) -> Result<(), Failure> {
        let pace = || self.interrupts.clone();
        match (&parsed.action, self.options.every) {
            (Action::ShowLog(query), None) if query.follow => {
                let pace = live::Every::new(live::LOG_PAUSE, pace());
                self.follow_log(query, pace, output)
            }
            (Action::ShowLog(query), Some(_)) if query.follow => Err(Failure::Usage(
                "follow and --every exclude each other".into(),
            )),
            (action, Some(every)) if shows(action) => {
                let pace = live::Every::new(every, pace());
                self.live(action, pace, output)
            }
            (_, Some(_)) => Err(Failure::Usage(
                "--every is for commands that show something".into(),
            )),
            (action, None) => self.once(action, parsed.confirmed, output),
        }
    }

    /// Does it one time.
    pub fn once(
        &mut self,
        action: &Action,
        confirmed: Option<u32>,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        match action {
            Action::Ask(request @ Request::ShowFdb { .. }) => self.fdb(request, output),
            Action::Ask(request @ Request::InjectFault { .. }) => self.fault(request, output),
            Action::Ask(request) => self.ask(request, output),
            Action::Configure(change) => {
                let request = Request::Configure {
                    changes: vec![change.clone()],
                    confirmed_seconds: confirmed,
                };
                self.ask(&request, output)
            }
            Action::ShowPorts { ports, view } => self.ports(ports.as_ref(), *view, output),
            Action::ShowStpdPorts {
                stpd,
                ports,
                detail,
            } => self.stpd_ports(*stpd, ports, *detail, output),
            Action::ShowLog(query) => self.ask(&query.request(None), output),
            Action::ShowConfiguration { which, form } => {
                configuration::show(self, *which, *form, output)
            }
            Action::ShowConfigurationDiff { from } => configuration::diff(self, *from, output),
            Action::Download { file, incremental } => {
                configuration::download(self, file, *incremental, confirmed, output)
            }
            Action::Upload { file, form } => configuration::upload(self, file, *form, output),
            Action::ShowVersion { detail } => self.version(*detail, output),
            Action::DownloadImage { file, bank } => self.download_image(file, *bank, output),
            Action::ClearHardware => {
                self.follower.rest();
                let pins = hardware::clear(self, &self.follower.target)?;
                self.print(output, &json!({"pins": pins}), || {
                    render::hardware_cleared(pins)
                })
            }
            Action::Upgrade(words) => self.upgrade(words, output),
            Action::FollowUpgrade => self.follow_upgrade(output),
            Action::RollBackUpgrade => self.roll_back_upgrade(output),
            Action::Failover { force } => self.failover(*force, output),
            Action::Reboot { slot, hard_reset } => self.reboot(*slot, *hard_reset, output),
            Action::Session(action) => without_switch(action, self.options.json, output),
        }
    }

    /// Asks, and shows the answer.
    pub fn ask(&mut self, request: &Request, output: &mut impl Write) -> Result<(), Failure> {
        let reply = if request.is_change() {
            self.follower.change(request)?
        } else {
            self.follower.show(|client| client.call(request))?
        };
        self.answer(request, &reply, output)
    }

    fn answer(
        &mut self,
        request: &Request,
        reply: &Reply,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let style = self.style;
        match (request, reply) {
            (Request::ShowSwitch {}, Reply::Switch(switch)) => {
                self.print(output, switch, || render::switch(switch))
            }
            (Request::ShowVlan { .. }, Reply::Vlans(vlans)) => {
                self.print(output, vlans, || render::vlans(vlans, style))
            }
            (Request::ShowCounters {}, Reply::Counters(counters)) => {
                self.print(output, counters, || render::counters(counters, style))
            }
            (Request::ShowStpd { stpd, .. }, Reply::Stpds(stpds)) => {
                self.print(output, stpds, || match (stpd, stpds.as_slice()) {
                    (Some(_), [stpd]) => render::stpd::domain(stpd),
                    (_, stpds) => render::stpd::summary(stpds, style),
                })
            }
            (Request::ClearStpdCounters { .. }, Reply::Done {}) => {
                self.print(output, &json!({"done": true}), || {
                    render::stpd::COUNTERS_CLEARED.into()
                })
            }
            (Request::RecoverStpdPorts { .. }, Reply::StpdRecovered { ports }) => {
                self.print(output, &json!({"ports": ports}), || {
                    render::stpd::recovered(ports)
                })
            }
            (Request::CheckStpdMigration { .. }, Reply::Done {}) => {
                self.print(output, &json!({"done": true}), || {
                    render::stpd::MIGRATION_CHECKED.into()
                })
            }
            (Request::ShowMsmFailover {}, Reply::MsmFailover(info)) => {
                self.print(output, info, || render::modules::failover(info, style))
            }
            (Request::ShowUpgrade {} | Request::AcceptUpgrade {}, Reply::Upgrade(info)) => self
                .print(output, info, || match &info.upgrade {
                    Some(status) => render::upgrade::report(status, None),
                    None => render::upgrade::NONE.into(),
                }),
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
            (Request::ConfirmConfiguration {}, Reply::Configured(info)) => {
                self.configured("Confirmed.", info, output)
            }
            (Request::RollbackConfiguration {}, Reply::Configured(info)) => {
                self.configured("The configuration before is in force again.", info, output)
            }
            (
                Request::Configure { .. } | Request::ReplaceConfiguration { .. },
                Reply::Configured(info),
            ) => {
                let done = if info.changed {
                    ""
                } else {
                    "It was like that already."
                };
                self.configured(done, info, output)
            }
            (Request::UseConfiguration { bank }, Reply::Done {}) => {
                self.print(output, &json!({"done": true}), || {
                    format!(
                        "A module that starts without a master takes the {bank} configuration.\n"
                    )
                })
            }
            (Request::ClearQuarantine {}, Reply::QuarantineCleared { removed }) => {
                self.print(output, &json!({"removed": removed}), || {
                    render::modules::quarantine_cleared(*removed)
                })
            }
            (Request::ShowDownload {}, Reply::Download(info)) => {
                self.print(output, info, || render::image::download(info.as_deref()))
            }
            (Request::UseImage { .. }, Reply::ImageSelected(info)) => {
                self.print(output, info, || render::image::selected(info))
            }
            (Request::Save { .. }, Reply::Saved(info)) => {
                self.unsaved.set(false);
                self.print(output, info, || render::modules::saved(info))
            }
            (_, reply) => Err(self.follower.unexpected(reply)),
        }
    }

    /// What a script's end says of changes that are not saved; nothing if there are none.
    pub fn unsaved_note(&self) -> &'static str {
        match self.unsaved.get() && !self.options.json {
            true => render::modules::UNSAVED,
            false => "",
        }
    }

    /// What came of a change. The shell's prompt tells of changes that are not saved, and so does a script's end.
    fn configured(
        &self,
        done: &str,
        info: &ConfiguredInfo,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        self.unsaved.set(info.unsaved);
        let told = self.interrupts.is_some() || self.stdin_is_script;
        self.print(output, info, || {
            render::modules::configured(done, info, !told)
        })
    }

    fn fdb(&mut self, request: &Request, output: &mut impl Write) -> Result<(), Failure> {
        let Request::ShowFdb {
            vlan, port, mac, ..
        } = request
        else {
            return self.ask(request, output);
        };
        let rows = self
            .follower
            .show(|client| client.fdb(vlan.as_ref(), *port, *mac))?;
        if self.options.json {
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

    pub fn print(
        &self,
        output: &mut impl Write,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        print(output, self.options.json, value, text)
    }
}

/// What a line of the shell or of a script says; nothing if there are no words in it.
///
/// # Errors
/// It is no command, or an option is wrong.
pub(super) fn understand(text: &str, base: &Options) -> Result<Option<(Options, Parsed)>, Failure> {
    let mut line = Line::split(text)?;
    if line.is_empty() {
        return Ok(None);
    }
    let options = options::of_line(&mut line, base).map_err(Failure::Usage)?;
    Ok(Some((options, grammar::parse(&line)?)))
}

/// Whether it can be shown again and again.
fn shows(action: &Action) -> bool {
    match action {
        Action::Ask(request) => !request.is_change(),
        Action::ShowPorts { .. }
        | Action::ShowStpdPorts { .. }
        | Action::ShowLog(_)
        | Action::ShowConfiguration { .. }
        | Action::ShowConfigurationDiff { .. }
        | Action::ShowVersion { .. } => true,
        _ => false,
    }
}

/// What no switch is needed for. Of a shell's commands, what they mean where there is none: nothing to speak of.
pub(super) fn without_switch(
    action: &SessionAction,
    json: bool,
    output: &mut impl Write,
) -> Result<(), Failure> {
    match action {
        SessionAction::Help(words) => {
            let text = grammar::help_page(&Line::from_arguments(words))?;
            print(output, json, &json!({"help": text}), || text.clone())
        }
        SessionAction::Generate(what) => Ok(output.write_all(grammar::generate(*what).as_bytes())?),
        SessionAction::InspectImage(file) => {
            let image = image_file::inspect(file)?;
            print(output, json, &image.to_json(), || image.text())
        }
        SessionAction::History => print(output, json, &json!([]), String::new),
        SessionAction::Paging(_) | SessionAction::Exit => Ok(()),
    }
}

/// Prints an answer as JSON or as text.
pub(super) fn print(
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
