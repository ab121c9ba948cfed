//! Labs for real: namespaces, links, processes. Needs root. Every lab has a name of its own, so these tests
//! run at the same time as each other and as labs of the user.

#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests by an attribute that these can not have"
)]

mod failures;
mod lab;
mod nodes;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// First argument of this program when a test runs it to bring a lab up in another process.
const UP: &str = "--only-bring-up";

const TESTS: [(&str, fn()); 14] = [
    ("a_lab_from_up_to_down", nodes::a_lab_from_up_to_down),
    ("a_node_has_its_own_view", nodes::a_node_has_its_own_view),
    (
        "the_host_is_not_written_to",
        nodes::the_host_is_not_written_to,
    ),
    ("binds_and_environment", nodes::binds_and_environment),
    (
        "exit_status_and_errors_of_exec",
        nodes::exit_status_and_errors_of_exec,
    ),
    (
        "a_node_outlives_its_command",
        nodes::a_node_outlives_its_command,
    ),
    ("orphans_are_reaped", nodes::orphans_are_reaped),
    (
        "our_image_runs_the_given_binaries",
        nodes::our_image_runs_the_given_binaries,
    ),
    ("labs_side_by_side", nodes::labs_side_by_side),
    (
        "a_startup_delay_holds_back_one_node",
        nodes::a_startup_delay_holds_back_one_node,
    ),
    (
        "a_failed_up_leaves_nothing",
        failures::a_failed_up_leaves_nothing,
    ),
    ("a_dead_first_process", failures::a_dead_first_process),
    ("a_killed_up", failures::a_killed_up),
    ("names_in_use", failures::names_in_use),
];

fn main() -> ExitCode {
    hitless_topo::init_hook();
    let args: Vec<String> = std::env::args().collect();
    if let [_, first, file, lab] = &args[..]
        && first == UP
    {
        return match hitless_topo::up(file.as_ref(), &lab::named(lab)) {
            Ok(_) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments = Arguments::from_args();
    if !nix::unistd::geteuid().is_root() && !arguments.list {
        eprintln!("not run: labs are made of namespaces, which needs root");
        return ExitCode::SUCCESS;
    }
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let trials = TESTS.into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
