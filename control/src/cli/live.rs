//! Views that go on until they are interrupted, whoever is master meanwhile.

use std::io::Write;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::confirm::switch_name;
use super::failure::Failure;
use super::render::{self, Style};
use super::session::Session;
use super::shell::Interrupts;
use crate::grammar::{Action, LogQuery};
use crate::northbound::api::{LogPage, Reply, Request};
use crate::northbound::client::{Client, ClientError};

/// Between two looks for new lines of the log.
pub(super) const LOG_PAUSE: Duration = Duration::from_millis(250);

/// Notices of failovers that stay in sight of a view that is redrawn.
const NOTICES: usize = 5;

/// Puts the cursor at the top left of an empty screen.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// When a view is to look again.
pub(super) trait Pace {
    /// Waits; false if it is over.
    fn next(&mut self) -> bool;
}

/// At an interval: until Ctrl-C in the shell, for ever outside of it.
pub(super) struct Every {
    interval: Duration,
    interrupts: Option<Rc<Interrupts>>,
}

impl Every {
    pub fn new(interval: Duration, interrupts: Option<Rc<Interrupts>>) -> Self {
        Self {
            interval,
            interrupts,
        }
    }
}

impl Pace for Every {
    fn next(&mut self) -> bool {
        match &self.interrupts {
            Some(interrupts) => interrupts.sleep(self.interval),
            None => {
                thread::sleep(self.interval);
                true
            }
        }
    }
}

impl Session {
    /// Shows the answer again and again.
    pub(super) fn live(
        &mut self,
        action: &Action,
        mut pace: impl Pace,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        // The master to begin with, so that another one is noticed.
        let _ = self.follower.modules();
        self.looked = None;
        let mut notices: Vec<String> = Vec::new();
        let mut page = Vec::new();
        let mut answered = false;
        loop {
            page.clear();
            let failure = self.once(action, None, &mut page).err();
            for change in self.follower.take_changes() {
                if self.options.json {
                    self.print(output, &json!({"notice": change}), String::new)?;
                }
                notices.push(render::modules::change(&change));
            }
            match &failure {
                None => answered = true,
                // A view that has begun goes on when there is no master for a while.
                Some(Failure::Unreachable(_)) if answered => {}
                Some(Failure::Stopped) => return Ok(()),
                Some(_) => return failure.map_or(Ok(()), Err),
            }
            if self.options.json {
                if let Some(failure) = &failure {
                    self.print(output, &failure.to_json(), String::new)?;
                }
                output.write_all(&page)?;
            } else {
                self.draw(&mut notices, &page, failure.as_ref(), output)?;
            }
            output.flush()?;
            if !pace.next() {
                return Ok(());
            }
        }
    }

    fn draw(
        &self,
        notices: &mut Vec<String>,
        page: &[u8],
        failure: Option<&Failure>,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let redraws = self.style == Style::Terminal;
        if redraws {
            let switch = switch_name(&self.follower.target);
            write!(output, "{CLEAR}{switch}; Ctrl-C ends this view\n\n")?;
            let old = notices.len().saturating_sub(NOTICES);
            notices.drain(..old);
        }
        for notice in notices.iter() {
            writeln!(output, "{notice}")?;
        }
        if let Some(failure) = failure {
            writeln!(output, "{failure}")?;
        }
        if redraws && !notices.is_empty() {
            writeln!(output)?;
        }
        output.write_all(page)?;
        if !redraws {
            // In a file every notice stands once, before the first answer after it.
            notices.clear();
            writeln!(output)?;
        }
        Ok(())
    }

    /// `show log follow`: lines as they come.
    pub(super) fn follow_log(
        &mut self,
        query: &LogQuery,
        mut pace: impl Pace,
        output: &mut impl Write,
    ) -> Result<(), Failure> {
        let _ = self.follower.modules();
        let mut since = None;
        loop {
            let request = query.request(since);
            let result = self.follower.show(|client| log(client, &request));
            for change in self.follower.take_changes() {
                self.print(output, &json!({"notice": change}), || {
                    render::modules::change(&change) + "\n"
                })?;
            }
            match result {
                Ok(page) => {
                    for line in &page.lines {
                        if self.options.json {
                            serde_json::to_writer(&mut *output, line)
                                .map_err(std::io::Error::from)?;
                            writeln!(output)?;
                        } else {
                            output.write_all(render::modules::log_line(line).as_bytes())?;
                        }
                    }
                    since = Some(page.next);
                }
                Err(Failure::Unreachable(text)) if since.is_some() => {
                    self.print(
                        output,
                        &Failure::Unreachable(text.clone()).to_json(),
                        || format!("{text}\n"),
                    )?;
                }
                Err(Failure::Stopped) => return Ok(()),
                Err(failure) => return Err(failure),
            }
            output.flush()?;
            if !pace.next() {
                return Ok(());
            }
        }
    }
}

/// A page of the log.
fn log(client: &mut Client, request: &Request) -> Result<LogPage, ClientError> {
    match client.call(request)? {
        Reply::Log(page) => Ok(page),
        other => Err(client.unexpected(&other)),
    }
}
