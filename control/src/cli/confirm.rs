//! Asks before something that can not be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Failure;
use super::target::Target;

/// Goes on if the operator agrees to what the warning says, or did so with `--yes`.
pub(super) fn confirm(command: &str, warning: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "{command} asks first, but there is no terminal to ask at; say --yes if you mean it.\n{warning}"
        )));
    }
    if agreed(warning, &mut stdin.lock(), &mut io::stderr())? {
        Ok(())
    } else {
        Err(Failure::Declined)
    }
}

/// Warns and asks. Anything but `y` and `yes` is no.
fn agreed(warning: &str, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
    write!(output, "{warning}\nGo on? [y/N] ")?;
    output.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

/// How the switch is called in a warning.
pub(super) fn switch_name(target: &Target) -> String {
    match &target.switch {
        Some(switch) => format!("switch {switch}"),
        None => format!("the switch at {}", target.socket.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, agrees) in [
            ("y\n", true),
            ("YES\n", true),
            (" yes ", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            let mut asked = Vec::new();
            assert_eq!(
                agreed("It stops.", &mut answer.as_bytes(), &mut asked).unwrap(),
                agrees,
                "{answer:?}"
            );
            assert_eq!(
                String::from_utf8(asked).unwrap(),
                "It stops.\nGo on? [y/N] "
            );
        }
    }

    #[test]
    fn yes_is_not_asked_again() {
        confirm("clear hardware", "It stops.", true).unwrap();
    }

    #[test]
    fn the_switch_has_a_name_in_warnings() {
        let mut target = Target {
            switch: Some("sw1".parse().unwrap()),
            socket: "/x".into(),
        };
        assert_eq!(switch_name(&target), "switch sw1");
        target.switch = None;
        assert_eq!(switch_name(&target), "the switch at /x");
    }
}
