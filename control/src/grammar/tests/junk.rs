//! Nothing that is typed makes the grammar panic.

use proptest::prelude::*;

use super::*;
use crate::grammar::automaton::Automaton;

/// Real words, beginnings of them, numbers, junk, quotes, letters of all scripts.
fn token() -> impl Strategy<Value = String> {
    let mut keywords: Vec<&'static str> = Automaton::of_table()
        .places
        .iter()
        .filter_map(|place| match place.terminal {
            Terminal::Keyword(word) => Some(word),
            Terminal::Argument(_) => None,
        })
        .collect();
    keywords.sort_unstable();
    keywords.dedup();
    prop_oneof![
        6 => proptest::sample::select(keywords.clone()).prop_map(String::from),
        3 => (proptest::sample::select(keywords.clone()), 1usize..5)
            .prop_map(|(word, end)| word[..end.min(word.len())].to_string()),
        1 => proptest::sample::select(keywords).prop_map(|word| format!("--{word}")),
        2 => any::<i64>().prop_map(|number| number.to_string()),
        2 => (0u16..200).prop_map(|number| number.to_string()),
        1 => "[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}){0,3}[,-]?",
        1 => "[0-9a-f]{2}([:-][0-9a-f]{2}){3,6}",
        1 => "[a-z]{1,8}",
        1 => "\"[^\"]{0,8}\"?",
        1 => "[\\\\\"#u{}n-]{1,6}",
        1 => "\\PC{0,6}",
        1 => any::<String>(),
    ]
}

fn check(error: &SyntaxError) {
    let line = &error.line;
    assert!(
        error.start <= line.len() + 1 && error.end <= line.len(),
        "{error:?}"
    );
    assert!(
        error.start > line.len() || line.is_char_boundary(error.start),
        "{error:?}"
    );
    assert!(line.is_char_boundary(error.end), "{error:?}");
    assert!(!error.message.is_empty());
    let rendered = error.render();
    assert!(
        rendered.lines().count() >= 3 && rendered.contains('^'),
        "{rendered}"
    );
    assert!(error.to_json().is_object());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn ten_thousand_random_lines_are_answered(
        tokens in prop::collection::vec(token(), 0..12),
        separator in proptest::sample::select(vec![" ", "  ", "\t", ""]),
        cursor in 0usize..80,
    ) {
        let text = tokens.join(separator);
        match Line::split(&text) {
            Ok(line) => {
                if let Err(error) = parse(&line) {
                    check(&error);
                }
                if let Err(error) = help_page(&line) {
                    check(&error);
                }
            }
            Err(error) => check(&error),
        }
        match parse(&Line::from_arguments(&tokens)) {
            Ok(parsed) => prop_assert!(parsed.confirmed.is_none_or(|s| (10..=86_400).contains(&s))),
            Err(error) => check(&error),
        }
        for at in [cursor, text.len()] {
            let completion = complete(&text, at, &());
            prop_assert!(completion.replace.end <= at);
            prop_assert!(text.get(completion.replace).is_some());
        }
        match help(&text, &()) {
            Ok(rows) => prop_assert!(render_help(&rows).lines().count() >= rows.len()),
            Err(error) => check(&error),
        }
        shell_completion(&tokens, &());
    }

    #[test]
    fn a_word_in_quotes_comes_back(text in any::<String>()) {
        let line = Line::split(&words::quoted(&text)).map_err(|e| TestCaseError::fail(e.render()))?;
        prop_assert_eq!(line.words.len(), 1);
        prop_assert_eq!(&line.words[0].text, &text);
        prop_assert!(line.words[0].quoted);
        let line = Line::split(&words::quoted_if_needed(&text)).map_err(|e| TestCaseError::fail(e.render()))?;
        prop_assert_eq!(&line.words[0].text, &text);
    }
}

#[test]
fn a_line_of_very_many_words_is_refused() {
    let line = format!("help {}", "show ".repeat(100_000));
    let error = mistake(&line);
    assert!(
        error.message.contains("256 words at most"),
        "{}",
        error.message
    );
}
