//! `* sw1.3 msm-a/master # `

use std::borrow::Cow;

use reedline::{Color, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus};

use crate::northbound::api::{ModuleRole, Privilege, SessionInfo};

/// What stands before a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShellPrompt {
    /// The switch's name for itself.
    pub name: String,
    /// The number of the command that is to come.
    pub number: usize,
    /// Who answers, and how things are; `None` without a master.
    pub session: Option<SessionInfo>,
}

impl ShellPrompt {
    /// The asterisk of changes that are not saved, name and number, who answers, and `#` or `>`.
    pub fn text(&self) -> String {
        let asterisk = match &self.session {
            Some(info) if info.unsaved => "* ",
            _ => "",
        };
        let who = match &self.session {
            Some(info) => format!("{}/{}", info.slot, ModuleRole::Master),
            None => "no master".into(),
        };
        // For someone who can only look.
        let mark = match &self.session {
            Some(info) if info.privilege != Privilege::Admin => ">",
            _ => "#",
        };
        format!("{asterisk}{}.{} {who} {mark} ", self.name, self.number)
    }
}

impl Prompt for ShellPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        self.text().into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        // It is part of the rest: a menu would take its place.
        "".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing ",
        };
        format!("({failing}found: {}) ", search.term).into()
    }

    fn get_prompt_color(&self) -> Color {
        match &self.session {
            Some(_) => Color::Green,
            None => Color::Red,
        }
    }

    fn get_indicator_color(&self) -> Color {
        self.get_prompt_color()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northbound::api::ModuleSlot;

    #[test]
    fn what_a_prompt_tells() {
        let mut info = SessionInfo {
            user: Some("root".into()),
            uid: 0,
            privilege: Privilege::Admin,
            switch: "sw1".parse().unwrap(),
            sysname: "core".into(),
            slot: ModuleSlot::MsmA,
            unsaved: true,
            rollback_seconds: None,
        };
        let text = |session: Option<SessionInfo>| {
            let prompt = ShellPrompt {
                name: "core".into(),
                number: 3,
                session,
            };
            prompt.text()
        };
        assert_eq!(text(Some(info.clone())), "* core.3 msm-a/master # ");
        info.unsaved = false;
        info.privilege = Privilege::ReadOnly;
        info.slot = ModuleSlot::MsmB;
        assert_eq!(text(Some(info)), "core.3 msm-b/master > ");
        assert_eq!(text(None), "core.3 no master # ");
    }
}
