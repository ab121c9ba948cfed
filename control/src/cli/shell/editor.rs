//! The line editor: keys, history, completion.

use std::io;

use crossterm::style::Stylize;
use crossterm::terminal::{self, Clear, ClearType};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, EditCommand, Emacs, FileBackedHistory, History,
    KeyCode, KeyModifiers, MenuBuilder, Reedline, ReedlineEvent, ReedlineMenu, SearchDirection,
    SearchQuery, Signal, Span, Suggestion, default_emacs_keybindings,
};
use unicode_width::UnicodeWidthStr;

use super::history::{LINES, file, open};
use super::prompt::ShellPrompt;
use super::{Input, Keyboard};
use crate::cli::complete::LiveValues;
use crate::cli::target::Target;
use crate::grammar;

/// The menu of completions, to reedline.
const MENU: &str = "completions";

/// What reedline gives back for `?`.
const QUESTION: &str = "?";

/// The history of the user, and why it is not kept if it is not.
pub(super) fn history() -> (Option<FileBackedHistory>, Option<String>) {
    let unkept = |why: String| {
        let history = FileBackedHistory::new(LINES).ok();
        (history, Some(format!("The history is not kept: {why}.")))
    };
    match file() {
        None => unkept("there is no home directory".into()),
        Some(file) => match open(&file) {
            Ok(history) => (Some(history), None),
            Err(error) => unkept(format!("{}: {error}", file.display())),
        },
    }
}

/// The lines of a history, the oldest first.
pub(super) fn lines(history: Option<&FileBackedHistory>) -> Vec<String> {
    let all = SearchQuery::everything(SearchDirection::Forward, None);
    let items = history.and_then(|history| history.search(all).ok());
    let lines = items.unwrap_or_default().into_iter();
    lines.map(|item| item.command_line).collect()
}

/// The editor at the terminal.
pub(super) struct Editor {
    reedline: Reedline,
    colours: bool,
}

impl Editor {
    pub fn new(history: Option<FileBackedHistory>, target: Target, colours: bool) -> Self {
        let mut keys = default_emacs_keybindings();
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![
                ReedlineEvent::Menu(MENU.into()),
                ReedlineEvent::MenuNext,
            ]),
        );
        keys.add_binding(
            KeyModifiers::SHIFT,
            KeyCode::BackTab,
            ReedlineEvent::MenuPrevious,
        );
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            let help = ReedlineEvent::ExecuteHostCommand(QUESTION.into());
            keys.add_binding(modifiers, KeyCode::Char('?'), help);
        }
        let menu = ColumnarMenu::default().with_name(MENU).with_marker("");
        let mut reedline = Reedline::create()
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_completer(Box::new(SwitchCompleter { target }))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_ansi_colors(colours)
            .disable_hints();
        if let Some(history) = history {
            reedline = reedline.with_history(Box::new(history));
        }
        Self { reedline, colours }
    }
}

impl Keyboard for Editor {
    fn read(&mut self, prompt: &ShellPrompt) -> io::Result<Input> {
        loop {
            let signal = self.reedline.read_line(prompt).map_err(io::Error::other)?;
            return Ok(match signal {
                Signal::Success(line) => {
                    // Now, not at the end: a session may end by a signal. It goes on without, all the same.
                    let _ = self.reedline.sync_history();
                    Input::Line(line)
                }
                Signal::HostCommand(command) if command == QUESTION => {
                    let cursor = self.reedline.current_insertion_point();
                    let line = self.reedline.current_buffer_contents();
                    let before = line.get(..cursor).unwrap_or(line).to_string();
                    if in_quotes(&before) {
                        let typed = EditCommand::InsertChar('?');
                        self.reedline.run_edit_commands(&[typed]);
                        continue;
                    }
                    // What came in one go is not painted yet.
                    let (columns, _) = terminal::size()?;
                    match question(prompt, line, columns, self.colours) {
                        Some(row) => eprintln!("{row}"),
                        None => eprintln!(),
                    }
                    Input::Help(before)
                }
                Signal::CtrlC => Input::Cancelled,
                Signal::CtrlD => Input::End,
                _ => continue,
            });
        }
    }
}

/// The row of a line on which `?` was hit, as it would look if that were a character; `None` if it takes several.
fn question(prompt: &ShellPrompt, line: &str, columns: u16, colours: bool) -> Option<String> {
    let text = prompt.text();
    if text.width() + line.width() + QUESTION.width() >= usize::from(columns) {
        return None;
    }
    // As the editor paints it.
    let text = match (colours, &prompt.session) {
        (true, Some(_)) => text.green().to_string(),
        (true, None) => text.red().to_string(),
        (false, _) => text,
    };
    Some(format!(
        "\r{text}{line}{QUESTION}{}",
        Clear(ClearType::UntilNewLine)
    ))
}

/// Whether a quotation is open at the end of a line.
fn in_quotes(line: &str) -> bool {
    let mut open = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => open = !open,
            '\\' if open => {
                characters.next();
            }
            _ => {}
        }
    }
    open
}

/// Completes words from the grammar, and from what the switch knows at the moment.
struct SwitchCompleter {
    target: Target,
}

impl Completer for SwitchCompleter {
    fn complete(&mut self, line: &str, position: usize) -> CompletionResult {
        let before = line.get(..position).unwrap_or(line);
        let typed = before.split_whitespace().next_back().unwrap_or_default();
        let live = LiveValues::of(Some(&self.target), typed);
        let completion = grammar::complete(line, position, &live);
        let span = Span::new(completion.replace.start, completion.replace.end);
        let suggestion = |candidate: grammar::Candidate| Suggestion {
            append_whitespace: !candidate.partial,
            description: Some(candidate.help).filter(|help| !help.is_empty()),
            value: candidate.text,
            span,
            ..Suggestion::default()
        };
        let suggestions: Vec<Suggestion> =
            completion.candidates.into_iter().map(suggestion).collect();
        CompletionResult::fresh(suggestions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_completed() {
        let mut completer = SwitchCompleter {
            target: Target {
                switch: None,
                socket: "/nonexistent/control.sock".into(),
            },
        };
        let result = completer.complete("show vl", 7);
        let [suggestion] = result.suggestions() else {
            panic!("{:?}", result.suggestions());
        };
        assert_eq!(suggestion.value, "vlan");
        assert_eq!((suggestion.span.start, suggestion.span.end), (5, 7));
        assert!(suggestion.append_whitespace && suggestion.description.is_some());
        assert!(
            completer
                .complete("nonsense x", 10)
                .suggestions()
                .is_empty()
        );
    }

    #[test]
    fn a_question_stands_behind_its_line() {
        let prompt = ShellPrompt {
            name: "sw1".into(),
            number: 2,
            session: None,
        };
        let row = |columns| question(&prompt, "show vl", columns, false);
        assert_eq!(
            row(80).as_deref(),
            Some("\rsw1.2 no master # show vl?\x1b[K")
        );
        // 18 columns of prompt, 7 of line, the mark and the cursor.
        assert!(row(27).is_some());
        assert_eq!(row(26), None);
    }

    #[test]
    fn a_question_mark_in_quotes_is_one() {
        for (line, inside) in [
            ("", false),
            ("configure snmp syslocation \"who", true),
            ("configure snmp syslocation \"who\"", false),
            ("\"\\\"", true),
        ] {
            assert_eq!(in_quotes(line), inside, "{line}");
        }
    }
}
