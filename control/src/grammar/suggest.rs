//! "Did you mean".

use super::automaton::Terminal;

/// The expected keyword that the word is most like, if it is like one: at most a third of it is wrong.
pub(super) fn closest(word: &str, expected: &[Terminal]) -> Option<String> {
    let word = word.to_ascii_lowercase();
    // Longer words are no slips of the finger, and comparing them takes time with the square of their length.
    // Neither is a number that is out of range: another number is another thing.
    if word.len() > 40 || word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    expected
        .iter()
        .filter_map(|terminal| match terminal {
            Terminal::Keyword(keyword) => Some(*keyword),
            Terminal::Argument(_) => None,
        })
        .map(|keyword| (strsim::damerau_levenshtein(&word, keyword), keyword))
        .filter(|(distance, keyword)| distance * 3 <= keyword.len().max(3))
        .min()
        .map(|(_, keyword)| keyword.into())
}
