//! Ways to fail on purpose, in builds with the feature `faults` only: tests show what a switch makes of an image that
//! can not be trusted. A release has none of this; there these functions are empty.
//!
//! An image says in its manifest how it fails: `fault crash-at-start`, `fault hang`, `fault never-ready`,
//! `fault panic-after N` (seconds after it became master). `HITLESS_FAULT_STEP=N` ends a module, as by SIGKILL, at step N
//! of a migration of the data path.

/// What the image of this program says of how it fails.
#[cfg(feature = "faults")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    CrashAtStart,
    Hang,
    NeverReady,
    PanicAfter(std::time::Duration),
}

#[cfg(feature = "faults")]
impl Fault {
    /// The fault that the manifest of the running image asks for. A program that is no image has none.
    fn own() -> Option<Self> {
        static OWN: std::sync::OnceLock<Option<Fault>> = std::sync::OnceLock::new();
        *OWN.get_or_init(Self::read)
    }

    fn read() -> Option<Self> {
        let image = hitless_boot::image::Image::open("/proc/self/exe".as_ref()).ok()?;
        let manifest = image.manifest();
        let fault = manifest.lines("fault").next()?;
        Self::parse(fault)
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once(' ') {
            Some(("panic-after", seconds)) => {
                let seconds = seconds.parse().ok()?;
                Some(Self::PanicAfter(std::time::Duration::from_secs(seconds)))
            }
            Some(_) => None,
            None => match text {
                "crash-at-start" => Some(Self::CrashAtStart),
                "hang" => Some(Self::Hang),
                "never-ready" => Some(Self::NeverReady),
                _ => None,
            },
        }
    }
}

/// To be called first of all: crashes or hangs.
pub fn at_start() {
    #[cfg(feature = "faults")]
    match Fault::own() {
        Some(Fault::CrashAtStart) => std::process::abort(),
        Some(Fault::Hang) => loop {
            std::thread::park();
        },
        _ => {}
    }
}

/// To be called when this module has become master: panics some time later.
pub fn at_mastership() {
    #[cfg(feature = "faults")]
    if let Some(Fault::PanicAfter(time)) = Fault::own() {
        tokio::task::spawn_local(async move {
            tokio::time::sleep(time).await;
            panic!("fault panic-after of this image");
        });
    }
}

/// Whether this module never gets ready as a standby.
#[must_use]
pub fn never_ready() -> bool {
    #[cfg(feature = "faults")]
    return Fault::own() == Some(Fault::NeverReady);
    #[cfg(not(feature = "faults"))]
    false
}

/// Ends this module at the step of a migration that is asked for; `step` begins with its number.
#[cfg_attr(
    not(feature = "faults"),
    expect(unused_variables, reason = "see the module")
)]
pub fn step(step: &str) {
    #[cfg(feature = "faults")]
    if let Some(wanted) = std::env::var_os("HITLESS_FAULT_STEP")
        && wanted.to_str() == step.split(' ').next()
    {
        tracing::error!("ended at step {step} of a migration, as asked for");
        // No destructor and no last word, as when it is killed.
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(all(test, feature = "faults"))]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read() {
        let after = Fault::PanicAfter(std::time::Duration::from_secs(60));
        assert_eq!(Fault::parse("panic-after 60"), Some(after));
        assert_eq!(Fault::parse("hang"), Some(Fault::Hang));
        assert_eq!(Fault::parse("panic-after soon"), None);
        assert_eq!(Fault::parse("something"), None);
    }
}
