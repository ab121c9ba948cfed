//! Asks before something that can not be taken back.

use std::io::{self, BufRead, IsTerminal, Write};

use super::failure::Failure;
use super::session::Session;
use super::target::Target;

/// Goes on if the operator agrees to what the warning says, or did so with `--yes`.
pub(super) fn confirm(session: &Session, command: &str, warning: &str) -> Result<(), Failure> {
    if session.options.yes {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::Usage(format!(
            "{command} asks first, but there is no terminal to ask at; say --yes if you mean it.\n{warning}"
        )));
    }
    let may_answer = || match &session.interrupts {
        Some(interrupts) => interrupts.wait_for_input(),
        None => true,
    };
    if agreed(warning, may_answer, &mut stdin.lock(), &mut io::stderr())? {
        Ok(())
    } else {
        Err(Failure::Declined)
    }
}

/// Warns and asks. Anything but `y` and `yes` is no, and so is Ctrl-C.
fn agreed(
    warning: &str,
    may_answer: impl FnOnce() -> bool,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<bool> {
    write!(output, "{warning}\nGo on? [y/N] ")?;
    output.flush()?;
    if !may_answer() {
        writeln!(output)?;
        return Ok(false);
    }
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
                agreed("It stops.", || true, &mut answer.as_bytes(), &mut asked).unwrap(),
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
    fn an_interrupted_question_is_answered_no() {
        let mut asked = Vec::new();
        assert!(!agreed("It stops.", || false, &mut "yes\n".as_bytes(), &mut asked).unwrap());
    }

    #[test]
    fn yes_is_not_asked_again() {
        let switch = crate::cli::fake::Switch::new(vec![vec![crate::cli::fake::Act::Die]]);
        let mut session = switch.session("--yes");
        confirm(&session, "clear hardware", "It stops.").unwrap();
        session.options.yes = false;
        // Tests have no terminal.
        if !io::stdin().is_terminal() {
            let failure = confirm(&session, "clear hardware", "It stops.").unwrap_err();
            assert_eq!(failure.exit_code(), 2);
        }
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
