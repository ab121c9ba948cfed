//! The command line of a Hitless switch.

use std::process::ExitCode;

fn main() -> ExitCode {
    hitless::cli::main(std::env::args_os())
}
