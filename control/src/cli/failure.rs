//! How commands end that do not do what was asked, and the exit codes of that.

use std::io;

use serde_json::{Value, json};

use crate::grammar::SyntaxError;
use crate::northbound::api::ApiError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The switch said no. Exit code 1.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The operator said no when asked. Exit code 1.
    #[error("nothing was changed")]
    Declined,
    /// The operator hit Ctrl-C in the shell. Exit code 1.
    #[error("stopped")]
    Stopped,
    /// The line is no command. Exit code 2.
    #[error(transparent)]
    Syntax(Box<SyntaxError>),
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
    /// A file of the operator's can not be read or written, or is not good. Exit code 1.
    #[error("{0}")]
    File(String),
    /// The output can not be written. Exit code 1, or 0 if only its reader went away.
    #[error("can not write the output: {0}")]
    Output(#[from] io::Error),
    /// A line of a script failed, which ends it. Exit code of the failure.
    #[error("line {line}: {failure}")]
    Line {
        /// The number of the line, from 1.
        line: usize,
        /// What failed.
        failure: Box<Failure>,
    },
}

impl From<SyntaxError> for Failure {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(Box::new(error))
    }
}

impl Failure {
    /// What the program ends with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Refused(_)
            | Self::Declined
            | Self::Stopped
            | Self::Chassis(_)
            | Self::File(_)
            | Self::Output(_) => 1,
            Self::Syntax(_) | Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Interrupted(_) => 4,
            Self::Verdict(_) => 5,
            Self::Line { failure, .. } => failure.exit_code(),
        }
    }

    /// As the API's errors look, with kinds of its own. A failure in a script has `script_line` besides.
    pub fn to_json(&self) -> Value {
        let kind = match self {
            Self::Refused(error) => return json!({"error": error}),
            Self::Syntax(error) => return json!({"error": error.to_json()}),
            Self::Line { line, failure } => {
                let mut value = failure.to_json();
                value["script_line"] = json!(line);
                return value;
            }
            Self::Declined => "declined",
            Self::Stopped => "stopped",
            Self::Usage(_) => "usage",
            Self::Unreachable(_) => "unreachable",
            Self::Interrupted(_) => "interrupted",
            Self::Verdict(_) => "verdict",
            Self::Chassis(_) => "chassis",
            Self::File(_) => "file",
            Self::Output(_) => "output",
        };
        json!({"error": {"kind": kind, "message": self.to_string()}})
    }

    /// For people: on lines of their own if there is a caret in it, which must stay under its word.
    pub fn report(&self) -> String {
        match self {
            Self::Syntax(error) => format!("{error}\n"),
            Self::Line { line, failure } if matches!(**failure, Self::Syntax(_)) => {
                format!("hitless: line {line}:\n{failure}\n")
            }
            _ => format!("hitless: {self}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Line, parse};

    #[test]
    fn a_line_of_a_script_keeps_its_exit_code() {
        for (failure, code) in [
            (Failure::Declined, 1),
            (Failure::Usage("x".into()), 2),
            (Failure::Unreachable("x".into()), 3),
            (Failure::Interrupted("x".into()), 4),
            (Failure::Verdict("x".into()), 5),
        ] {
            let failure = Failure::Line {
                line: 7,
                failure: Box::new(failure),
            };
            assert_eq!(failure.exit_code(), code);
            assert!(
                failure.report().starts_with("hitless: line 7: "),
                "{failure}"
            );
            assert_eq!(failure.to_json()["script_line"], 7);
        }
    }

    #[test]
    fn a_caret_stays_under_its_word() {
        let error = parse(&Line::split("show prots").unwrap()).unwrap_err();
        let failure = Failure::from(error);
        assert!(failure.report().starts_with("show prots\n     ^^^^^\n"));
        assert_eq!(failure.to_json()["error"]["kind"], "usage");
        let failure = Failure::Line {
            line: 3,
            failure: Box::new(failure),
        };
        assert!(
            failure
                .report()
                .starts_with("hitless: line 3:\nshow prots\n     ^^^^^\n")
        );
    }
}
