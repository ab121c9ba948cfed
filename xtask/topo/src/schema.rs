//! Checks a document against the schema of the topology format, in the schema's own words.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use crate::document::{Document, Keys, below};
use crate::error::{Error, Problem};

/// The schema, in the language of <https://json-schema.org/draft-07>.
const SCHEMA: &str = include_str!("clab.schema.json");

/// Every place where the document breaks the schema, with its path.
pub(crate) fn check(document: &Document) -> Result<Vec<(Keys, Problem)>, Error> {
    let broken = |e: String| Error::whole_file(&document.file, format!("the built-in schema: {e}"));
    let schema: Value = serde_json::from_str(SCHEMA).map_err(|e| broken(e.to_string()))?;
    let validator = Validator::new(&schema).map_err(|e| broken(e.to_string()))?;
    let mut problems = Vec::new();
    for error in validator.iter_errors(&document.value) {
        let at = keys(error.instance_path().as_str());
        for (path, reason) in explain(&schema, &error, at) {
            let problem = document.problem(&path, reason);
            problems.push((path, problem));
        }
    }
    Ok(problems)
}

fn explain(schema: &Value, error: &ValidationError<'_>, at: Keys) -> Vec<(Keys, String)> {
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|key| {
                let reason = format!("unknown key '{key}'");
                (below(&at, key), reason)
            })
            .collect(),
        Kind::Required { property } => {
            vec![(at, format!("the key {property} is missing"))]
        }
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default().to_string();
            let reason = rule(schema, error);
            vec![(below(&at, name), reason)]
        }
        _ => vec![(at, rule(schema, error))],
    }
}

/// The description of the part of the schema that was broken, and what was found.
fn rule(schema: &Value, error: &ValidationError<'_>) -> String {
    let keyword = error.schema_path().as_str();
    let part = keyword.rsplit_once('/').map_or("", |(part, _)| part);
    match schema
        .pointer(part)
        .and_then(|part| part["description"].as_str())
    {
        Some(description) => format!("must be {description}, not {}", brief(error.instance())),
        None => error.to_string(),
    }
}

fn brief(value: &Value) -> String {
    match value {
        Value::Array(items) if items.len() != 2 => format!("a list of {}", items.len()),
        Value::Object(_) => "a map".into(),
        Value::Null => "empty".into(),
        value => value.to_string().chars().take(80).collect(),
    }
}

/// The keys of a JSON pointer.
fn keys(pointer: &str) -> Keys {
    let unescape = |key: &str| key.replace("~1", "/").replace("~0", "~");
    pointer.split('/').skip(1).map(unescape).collect()
}
