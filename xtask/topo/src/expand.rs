//! Variables in the text of a topology file, and the words of a command line.
//!
//! `$NAME` and `${NAME}` stay as they are when the variable is not set (a shell in an `exec` line may
//! mean its own); `$$` is a literal `$`.

use std::iter::Peekable;
use std::str::Chars;

/// Looks a variable up: `None` when it is not set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What is wrong with a text, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadExpression {
    /// From 1.
    pub line: usize,
    pub reason: String,
}

/// Expands the variables of a whole file; lines keep their numbers unless a value has line breaks.
pub(crate) fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, BadExpression> {
    let mut out = String::with_capacity(text.len());
    for (i, line) in text.split_inclusive('\n').enumerate() {
        expand_line(line, lookup, &mut out).map_err(|reason| BadExpression {
            line: i + 1,
            reason,
        })?;
    }
    Ok(out)
}

fn expand_line(line: &str, lookup: Lookup<'_>, out: &mut String) -> Result<(), String> {
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(braced) = rest.strip_prefix('{') {
            let end = closing_brace(braced)
                .ok_or_else(|| format!("'${{{}' has no closing '}}'", braced.trim_end()))?;
            out.push_str(&braced_value(&braced[..end], lookup)?);
            rest = &braced[end + 1..];
        } else {
            let name = &rest[..name_length(rest)];
            match lookup(name).filter(|_| !name.is_empty()) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push('$');
                    out.push_str(name);
                }
            }
            rest = &rest[name.len()..];
        }
    }
    out.push_str(rest);
    Ok(())
}

/// Length of the variable name at the start of the text, 0 when there is none.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// Position of the `}` that closes an expression, past nested ones.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(i),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The value of what stands between `${` and `}`.
fn braced_value(expression: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let (name, operation) = expression.split_at(name_length(expression));
    if name.is_empty() {
        return Err(format!("'${{{expression}}}' names no variable"));
    }
    let value = lookup(name);
    if operation.is_empty() {
        return Ok(value.unwrap_or_else(|| format!("${{{name}}}")));
    }
    // With a colon, an empty value counts as none.
    let (value, operation) = match operation.strip_prefix(':') {
        Some(rest) => (value.filter(|v| !v.is_empty()), rest),
        None => (value, operation),
    };
    let operator = operation.chars().next();
    let word = operation.get(1..).unwrap_or_default();
    let mut expanded = String::new();
    match (operator, value) {
        (Some('-' | '='), Some(value)) => expanded = value,
        (Some('-' | '='), None) | (Some('+'), Some(_)) => {
            expand_line(word, lookup, &mut expanded)?;
        }
        (Some('+'), None) => {}
        _ => {
            return Err(format!(
                "'${{{expression}}}' is not one of ${{V}}, ${{V-word}}, ${{V:-word}}, ${{V=word}}, \
                 ${{V:=word}}, ${{V+word}}, ${{V:+word}} (write $$ for a literal dollar sign)"
            ));
        }
    }
    Ok(expanded)
}

/// Splits a command line into words the way containerlab does: quotes and backslashes as in a shell, a
/// word that begins with `#` starts a comment, and nothing else has a meaning (no shell runs).
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        match chars.peek() {
            None | Some('#') => return Ok(words),
            Some(_) => words.push(word(&mut chars, line)?),
        }
    }
}

fn word(chars: &mut Peekable<Chars<'_>>, line: &str) -> Result<String, String> {
    let mut word = String::new();
    let mut quote = None;
    loop {
        let c = match chars.next_if(|c| quote.is_some() || !c.is_whitespace()) {
            Some(c) => c,
            None if quote.is_some() => return Err(format!("a quote is not closed in: {line}")),
            None => return Ok(word),
        };
        match (c, quote) {
            ('\\', None | Some('"')) => match chars.next() {
                Some(escaped) => word.push(escaped),
                None => return Err(format!("nothing follows the last backslash of: {line}")),
            },
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (c, _) => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_and_their_defaults() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a $SET b", "a value b"),
            ("${SET}.${EMPTY}.", "value.."),
            ("$UNSET ${UNSET}", "$UNSET ${UNSET}"),
            ("$$SET $${SET} $$", "$SET ${SET} $"),
            ("cost 5$ or $5", "cost 5$ or $5"),
            ("${UNSET:-x}${UNSET-y}${UNSET:=z}${UNSET=w}", "xyzw"),
            ("${EMPTY:-x}${EMPTY-y}", "x"),
            ("${SET:-x}${SET-y}", "valuevalue"),
            ("${UNSET:-a ${SET} $EMPTY}", "a value "),
            ("${UNSET:-}", ""),
            (
                "[${SET+other}][${UNSET:+other}][${EMPTY:+x}][${EMPTY+x}]",
                "[other][][][x]",
            ),
            ("alpine:${UNSET:-3.22}", "alpine:3.22"),
            ("awk '{print $1}'", "awk '{print $1}'"),
        ] {
            assert_eq!(expand(text, &env).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn broken_expressions_name_their_line() {
        for (text, line) in [
            ("ok\nno ${SET", 2),
            ("\n\n${}", 3),
            ("${SET%x}", 1),
            ("${SET:x}", 1),
            ("${SET:}", 1),
            ("${UNSET:-${SET?}}", 1),
        ] {
            assert_eq!(expand(text, &env).unwrap_err().line, line, "{text}");
        }
    }

    #[test]
    fn command_lines_are_split_without_a_shell() {
        let split = |line| words(line).unwrap();
        assert_eq!(
            split("ip  addr add\t10.0.0.1/24"),
            ["ip", "addr", "add", "10.0.0.1/24"]
        );
        assert_eq!(
            split(r#"sh -c 'echo "$A" > f'"#),
            ["sh", "-c", r#"echo "$A" > f"#]
        );
        assert_eq!(split(r#"a "b \" c" d\ e ''"#), ["a", r#"b " c"#, "d e", ""]);
        assert_eq!(split("a#b # comment"), ["a#b"]);
        assert_eq!(split("a|b;c>d"), ["a|b;c>d"]);
        assert!(split("  ").is_empty());
        for broken in ["'a", "\"a", "a\\"] {
            assert!(words(broken).is_err(), "{broken}");
        }
    }
}
