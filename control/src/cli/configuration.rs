//! Configurations as YAML and as commands: shown, compared, taken from files of the operator and written to them. Files
//! are read and written here, with the operator's rights; the switch sees documents and changes.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use hitless_proto::config::{Config, Document, commands};
use serde_json::json;

use super::failure::Failure;
use super::session::Session;
use crate::config_file;
use crate::grammar::{self, Action, ConfigForm, Line};
use crate::northbound::api::{
    ConfigChange, ConfigurationInfo, ConfigurationSource, Reply, Request,
};

/// Largest file that is read, in bytes.
const MAX_BYTES: usize = config_file::MAX_BYTES;

/// Wrong lines of a file that are shown; the rest is counted.
const SHOWN: usize = 10;

/// The standard input or output.
const STANDARD: &str = "-";

/// `show configuration`.
pub(super) fn show(
    session: &mut Session,
    which: ConfigurationSource,
    form: ConfigForm,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let info = ask(session, which)?;
    if session.options.json {
        return session.print(output, &info.document, String::new);
    }
    Ok(output.write_all(written(&config(session, &info)?, form)?.as_bytes())?)
}

/// `show configuration diff`: commands that only the saved one has, and commands that only the running one has.
pub(super) fn diff(
    session: &mut Session,
    from: ConfigurationSource,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let saved = ask(session, from)?;
    let running = ask(session, ConfigurationSource::Running)?;
    let lines = |info: &ConfigurationInfo| -> Result<Vec<String>, Failure> {
        Ok(text_of(&config(session, info)?))
    };
    let (old, new) = (lines(&saved)?, lines(&running)?);
    let changes = compared(&old, &new);
    let of = |sign: char| -> Vec<&str> {
        let lines = changes.iter().filter(|(s, _)| *s == sign);
        lines.map(|(_, line)| *line).collect()
    };
    let value = json!({
        "from": saved.source,
        "file": saved.file,
        "equal": changes.is_empty(),
        "removed": of('-'),
        "added": of('+'),
    });
    session.print(output, &value, || match changes.as_slice() {
        [] => "no difference\n".into(),
        changes => changes
            .iter()
            .map(|(sign, line)| format!("{sign} {line}\n"))
            .collect(),
    })
}

/// `download configuration`.
pub(super) fn download(
    session: &mut Session,
    file: &str,
    incremental: bool,
    confirmed_seconds: Option<u32>,
    output: &mut impl Write,
) -> Result<(), Failure> {
    if file == STANDARD && session.stdin_is_script {
        return Err(Failure::Usage(
            "the standard input has the commands of this script; give the name of a file".into(),
        ));
    }
    let bytes = read(file)?;
    // Editors of other systems begin UTF-8 text with this mark, which is neither YAML nor part of a command.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let name = Path::new(if file == STANDARD { "stdin" } else { file });
    let request = if is_yaml(bytes) {
        if incremental {
            return Err(Failure::Usage(format!(
                "{} is YAML, which is always a whole configuration; download it without `incremental`, or give a file of \
                 commands",
                name.display()
            )));
        }
        let config = config_file::parse(bytes, name).map_err(|e| Failure::File(e.to_string()))?;
        replace(&config, confirmed_seconds)
    } else {
        let read = read_commands(bytes, name)?;
        // A file that was cut short must not take the switch down.
        if !incremental && read.is_empty() {
            return Err(Failure::File(format!(
                "{}: has no command, and as a whole configuration would remove every port and VLAN; if you mean that, give \
                 a file of YAML with nothing but `switch: <name>`",
                name.display()
            )));
        }
        let info = ask(session, ConfigurationSource::Running)?;
        let running = config(session, &info)?;
        let base = if incremental {
            running
        } else {
            Config::factory(running.switch)
        };
        let changes: Vec<ConfigChange> = read.iter().map(|(_, change)| change.clone()).collect();
        // Checked here as well, because only here it is known which line is the wrong one.
        let config = base.changed(&changes).map_err(|error| {
            let line = error.index.and_then(|index| read.get(index));
            Failure::File(match line {
                Some((line, _)) => format!("{}:{line}: {}", name.display(), error.problem),
                None => format!("{}: {}", name.display(), error.problem),
            })
        })?;
        if incremental {
            Request::Configure {
                changes,
                confirmed_seconds,
            }
        } else {
            replace(&config, confirmed_seconds)
        }
    };
    session.ask(&request, output)
}

/// `upload configuration`.
pub(super) fn upload(
    session: &mut Session,
    file: &str,
    form: ConfigForm,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let info = ask(session, ConfigurationSource::Running)?;
    let text = written(&config(session, &info)?, form)?;
    if file == STANDARD {
        return Ok(output.write_all(text.as_bytes())?);
    }
    let path = write(Path::new(file), text.as_bytes())?;
    session.print(output, &json!({"file": path, "bytes": text.len()}), || {
        format!("Written to {}.\n", path.display())
    })
}

fn ask(session: &mut Session, which: ConfigurationSource) -> Result<ConfigurationInfo, Failure> {
    let request = Request::ShowConfiguration { which };
    session
        .follower
        .show(|client| match client.call(&request)? {
            Reply::Configuration(info) => Ok(*info),
            other => Err(client.unexpected(&other)),
        })
}

fn config(session: &Session, info: &ConfigurationInfo) -> Result<Config, Failure> {
    info.document.clone().check().map_err(|invalid| {
        Failure::Unreachable(format!(
            "the configuration of {} is not understood; use the hitless of the same version as hitlessd: {invalid}",
            session.follower.target.socket.display()
        ))
    })
}

fn replace(config: &Config, confirmed_seconds: Option<u32>) -> Request {
    Request::ReplaceConfiguration {
        document: Box::new(Document::from(config.clone())),
        confirmed_seconds,
    }
}

fn written(config: &Config, form: ConfigForm) -> Result<String, Failure> {
    match form {
        ConfigForm::Commands => Ok(text_of(config)
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()),
        ConfigForm::Yaml => {
            let text = config_file::save::to_yaml(config).map_err(|error| {
                Failure::File(format!(
                    "the configuration can not be written as YAML: {error}"
                ))
            })?;
            // What a saved file says of itself is not true of others.
            let own = |line: &&str| !line.starts_with('#');
            Ok(text
                .lines()
                .filter(own)
                .map(|line| format!("{line}\n"))
                .collect())
        }
    }
}

fn text_of(config: &Config) -> Vec<String> {
    commands(config).iter().map(grammar::text).collect()
}

/// What is only in the old lines (`-`) and what is only in the new ones (`+`), in their order. Both are in the same
/// order otherwise, and no line is there twice.
fn compared<'a>(old: &'a [String], new: &'a [String]) -> Vec<(char, &'a str)> {
    let old_set: HashSet<&String> = old.iter().collect();
    let new_set: HashSet<&String> = new.iter().collect();
    let mut changes = Vec::new();
    let (mut before, mut after) = (old.iter().peekable(), new.iter().peekable());
    loop {
        if let Some(line) = before.next_if(|line| !new_set.contains(line)) {
            changes.push(('-', line.as_str()));
        } else if let Some(line) = after.next_if(|line| !old_set.contains(line)) {
            changes.push(('+', line.as_str()));
        } else if before.next().is_none() & after.next().is_none() {
            return changes;
        }
    }
}

/// Whether a file is YAML rather than commands, told by the first thing that it says: no command begins with a word and
/// a colon, or with a bracket.
fn is_yaml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let first = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(first) = first else {
        return false;
    };
    let word = first.split_whitespace().next().unwrap_or_default();
    word.ends_with(':') || first.starts_with(['{', '[', '-', '%'])
}

/// The changes of a file of commands, each with its line.
fn read_commands(bytes: &[u8], name: &Path) -> Result<Vec<(usize, ConfigChange)>, Failure> {
    let mut changes = Vec::new();
    let mut wrong = Vec::new();
    for (number, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        match read_command(bytes) {
            Ok(None) => {}
            Ok(Some(change)) => changes.push((number, change)),
            Err((column, message)) => {
                wrong.push(format!("{}:{number}:{column}: {message}", name.display()));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(changes);
    }
    let more = wrong.len().saturating_sub(SHOWN);
    wrong.truncate(SHOWN);
    if more > 0 {
        wrong.push(format!("{}: and {more} more lines", name.display()));
    }
    Err(Failure::File(wrong.join("\n")))
}

/// The change that a line makes, or where it is wrong, by column from 1, and why.
fn read_command(bytes: &[u8]) -> Result<Option<ConfigChange>, (usize, String)> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| (error.valid_up_to() + 1, "is not UTF-8 text".to_string()))?
        .trim_end_matches('\r');
    let at = |start: usize| text.get(..start).map_or(0, |before| before.chars().count()) + 1;
    let syntax = |error: grammar::SyntaxError| {
        let shown = error.render();
        // The sentence stands beside the place, the line and its caret below.
        let mut lines = shown.lines();
        let (text, caret) = (lines.next(), lines.next());
        let sentence = lines.next().unwrap_or(&error.message);
        let parts = [Some(sentence), text, caret].into_iter().flatten();
        let message: Vec<&str> = parts.chain(lines).collect();
        (at(error.start), message.join("\n"))
    };
    let line = Line::split(text).map_err(syntax)?;
    if line.is_empty() {
        return Ok(None);
    }
    let parsed = grammar::parse(&line).map_err(syntax)?;
    let column = at(line.words.first().map_or(0, |word| word.start));
    match (parsed.action, parsed.confirmed) {
        (Action::Configure(change), None) => Ok(Some(change)),
        (Action::Configure(_), Some(_)) => Err((
            column,
            "a single line can not be `confirmed`: the whole file can, as in `download configuration FILE confirmed 60`"
                .into(),
        )),
        _ => Err((
            column,
            format!(
                "`{}` does not change the configuration; a file to download has only commands that do (run others with \
                 hitless < FILE)",
                text.trim()
            ),
        )),
    }
}

/// Reads a file of the operator's.
fn read(file: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: io::Error| Failure::File(format!("{file}: can not be read: {error}"));
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    if file == STANDARD {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        // Non-blocking, because opening a pipe would otherwise wait for its other end.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(file)
            .map_err(failed)?;
        if !opened.metadata().map_err(failed)?.is_file() {
            return Err(Failure::File(format!("{file}: is no regular file")));
        }
        opened.take(limit).read_to_end(&mut bytes)
    }
    .map_err(failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(Failure::File(format!(
            "{file}: is larger than {MAX_BYTES} bytes, the limit for a configuration"
        )));
    }
    Ok(bytes)
}

/// Writes a file, so that at any moment there is a whole one: the old or the new. Gives the file, symbolic links
/// resolved.
fn write(file: &Path, contents: &[u8]) -> Result<PathBuf, Failure> {
    let shown = file.display();
    let failed = |error: io::Error| Failure::File(format!("{shown}: can not be written: {error}"));
    let file = match fs::canonicalize(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_path_buf(),
        Err(error) => return Err(failed(error)),
    };
    let before = match fs::metadata(&file) {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Failure::File(format!(
                "{shown}: is a directory; name a file in it"
            )));
        }
        Ok(metadata) if !metadata.is_file() => {
            // A device or a pipe is written to, not replaced.
            let mut opened = OpenOptions::new().write(true).open(&file).map_err(failed)?;
            opened.write_all(contents).map_err(failed)?;
            return Ok(file);
        }
        Ok(metadata) => Some(metadata),
        Err(_) => None,
    };
    let Some(name) = file.file_name() else {
        return Err(Failure::File(format!("{shown}: is no name of a file")));
    };
    let mut new = name.to_os_string();
    new.push(format!(".{}.new", process::id()));
    let new = file.with_file_name(new);
    let replaced = || -> io::Result<()> {
        let mode = before.map_or(0o666, |metadata| metadata.mode() & 0o777);
        let mut made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&new)?;
        made.write_all(contents)?;
        made.sync_all()?;
        fs::rename(&new, &file)?;
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    };
    replaced().map_err(|error| {
        // Nothing of it, if it got that far.
        let _ = fs::remove_file(&new);
        failed(error)
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests;
