//! Errors for people.

use std::error::Error;

/// An error with its causes, outermost first. A cause that the text before it tells already is not told again.
#[must_use]
pub fn because(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let told = e.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = e.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("can not open it: {source}")]
        Told { source: io::Error },
        #[error("can not open it")]
        Untold { source: io::Error },
    }

    #[test]
    fn every_cause_is_told_once() {
        let cause = || io::Error::other("it is gone");
        for outer in [
            Outer::Told { source: cause() },
            Outer::Untold { source: cause() },
        ] {
            assert_eq!(because(&outer), "can not open it: it is gone");
        }
    }
}
