//! Boot ROM and watchdog of one slot; see the library.

use std::io::Write;
use std::process::ExitCode;

use hitless_boot::boot;
use hitless_boot::options::{Asked, HELP, parse};

fn main() -> ExitCode {
    let options = match parse(std::env::args_os().skip(1)) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => {
            return print(HELP);
        }
        Ok(Asked::Version) => {
            return print(concat!("hitless-boot ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Err(error) => {
            complain(&format!("hitless-boot: {error}"));
            return ExitCode::from(2);
        }
    };
    let slot = options.slot;
    match boot::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("hitless-boot {slot}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(text: &str) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{text}");
}
