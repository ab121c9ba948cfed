//! Waiting for a state that nobody announces.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks again and again until `look` finds something. What it returns as an error is remembered and told if the
/// state never comes.
///
/// # Errors
/// After `deadline`: names `what` and the last error.
pub fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let last = match look() {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if start.elapsed() > deadline {
            let text = format!("waited {deadline:?} for {what} in vain");
            return match last {
                Some(error) => Err(error).context(text),
                None => bail!(text),
            };
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_error_is_told() {
        let mut looks = 0;
        let found = wait_for("three", Duration::from_secs(10), || {
            looks += 1;
            if looks < 2 {
                bail!("not yet");
            }
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
        let error =
            wait_for::<()>("ever", Duration::from_millis(5), || bail!("never")).unwrap_err();
        assert!(
            format!("{error:#}").ends_with("for ever in vain: never"),
            "{error:#}"
        );
    }
}
