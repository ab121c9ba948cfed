//! Configuration files: reads YAML into the validated model, and writes it back ([`save`]). The only module that knows serde_yaml, so that
//! another YAML crate is a change of one file.
//!
//! serde_yaml tells where in a file something stands only for errors raised while it deserializes. Problems
//! that the model finds afterwards have a key path, which `locate` follows in a second pass.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hitless_proto::config::{Config, Document, Invalid, Problem};

pub mod banks;
mod locate;
pub mod save;
#[cfg(test)]
mod tests;

/// Largest configuration file, in bytes: the largest configuration that the rules allow takes less.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Flow collections (`[` and `{`) that may be open at once; a configuration nests four deep. The YAML parser's
/// time grows with the square of this number before it looks at any limit of its own.
const MAX_OPEN: usize = 1000;

/// Longest message of the YAML parser that is shown, in characters; it may quote the file.
const MAX_MESSAGE: usize = 300;

/// Why a file gave no configuration. The running state is not touched by any of these.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can not be opened or read.
    #[error("{}: can not read the configuration: {source}{}", file.display(), advice(source))]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path leads to a directory, a device or a pipe.
    #[error("{}: is no regular file; a configuration is a YAML file", file.display())]
    NotAFile {
        /// The file.
        file: PathBuf,
    },
    /// The file is larger than [`MAX_BYTES`].
    #[error("{}: is larger than {MAX_BYTES} bytes, the limit for a configuration", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file is no YAML, has another shape than a configuration, or breaks rules.
    #[error("{}", listing(file, findings, *more))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the file; at least one.
        findings: Vec<Finding>,
        /// How many more problems there are.
        more: usize,
    },
}

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// Key path, value and rule.
    pub message: String,
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "; check the path given with --config",
        io::ErrorKind::PermissionDenied => "; the file must be readable for the user of hitlessd",
        _ => "",
    }
}

fn listing(file: &Path, findings: &[Finding], more: usize) -> String {
    let line = |f: &Finding| format!("{}:{}:{}: {}", file.display(), f.line, f.column, f.message);
    let mut lines: Vec<String> = findings.iter().map(line).collect();
    if more > 0 {
        lines.push(format!("{}: and {more} more problems", file.display()));
    }
    lines.join("\n")
}

/// Reads and validates a configuration file.
///
/// # Errors
/// One line `FILE:LINE:COLUMN: KEY.PATH: value and rule` for each problem, or why the file can not be read.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let failed = |source| ConfigError::Read {
        file: file.into(),
        source,
    };
    // Non-blocking, because opening a pipe would otherwise wait for its other end.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(file)
        .map_err(failed)?;
    if !opened.metadata().map_err(failed)?.is_file() {
        return Err(ConfigError::NotAFile { file: file.into() });
    }
    let mut bytes = Vec::new();
    opened
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    parse(&bytes, file)
}

/// Validates the contents of a configuration file; `file` is only its name in errors.
///
/// # Errors
/// As [`load`].
pub fn parse(bytes: &[u8], file: &Path) -> Result<Config, ConfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge { file: file.into() });
    }
    let invalid = |findings, more| ConfigError::Invalid {
        file: file.into(),
        findings,
        more,
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| invalid(vec![not_utf8(bytes, error.valid_up_to())], 0))?;
    if let Some(finding) = nested_too_deep(text) {
        return Err(invalid(vec![finding], 0));
    }
    let document: Document =
        serde_yaml::from_str(text).map_err(|error| invalid(vec![misshapen(text, &error)], 0))?;
    document.check().map_err(|Invalid { problems, more }| {
        let mut findings: Vec<Finding> = problems.iter().map(|p| broken_rule(text, p)).collect();
        findings.sort_by_key(|f| (f.line, f.column));
        invalid(findings, more)
    })
}

/// Validates a configuration from another module: in JSON, or in YAML.
///
/// # Errors
/// As [`load`]; JSON is not told apart by line and column.
pub fn parse_any(bytes: &[u8], file: &Path) -> Result<Config, ConfigError> {
    if !bytes.starts_with(b"{") {
        return parse(bytes, file);
    }
    serde_json::from_slice(bytes).map_err(|error| ConfigError::Invalid {
        file: file.into(),
        findings: vec![Finding {
            line: error.line(),
            column: error.column(),
            message: shortened(&error.to_string()),
        }],
        more: 0,
    })
}

/// Counts brackets without regard to quotes and comments: a thousand of them left open are no accident there.
fn nested_too_deep(text: &str) -> Option<Finding> {
    let mut open = 0usize;
    for (line, content) in text.lines().enumerate() {
        for (column, character) in content.chars().enumerate() {
            match character {
                '[' | '{' => open += 1,
                ']' | '}' => open = open.saturating_sub(1),
                _ => {}
            }
            if open > MAX_OPEN {
                return Some(Finding {
                    line: line + 1,
                    column: column + 1,
                    message: format!("more than {MAX_OPEN} of [ and {{ are open here"),
                });
            }
        }
    }
    None
}

fn not_utf8(bytes: &[u8], at: usize) -> Finding {
    let before = &bytes[..at];
    let line_start = before
        .iter()
        .rposition(|&b| b == b'\n')
        .map_or(0, |i| i + 1);
    Finding {
        line: before.iter().filter(|&&b| b == b'\n').count() + 1,
        column: String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1,
        message: format!(
            "byte {:#04x} is not UTF-8; a configuration is UTF-8 text",
            bytes[at]
        ),
    }
}

fn misshapen(text: &str, error: &serde_yaml::Error) -> Finding {
    let (line, column) = locate::position(error);
    let full = error.to_string();
    // The location is given in front of the message, once.
    let message = full
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&full);
    let duplicate = message.contains("duplicate field `");
    let (line, column) = duplicate
        .then(|| locate::duplicate_key(text))
        .flatten()
        .unwrap_or((line, column));
    Finding {
        line,
        column,
        message: shortened(message),
    }
}

fn broken_rule(text: &str, problem: &Problem) -> Finding {
    let (line, column) = locate::key_path(text, problem.path.steps());
    Finding {
        line,
        column,
        message: problem.to_string(),
    }
}

fn shortened(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{} …", &message[..end]),
        None => message.into(),
    }
}
