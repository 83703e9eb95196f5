//! `cargo xtask`: builds, runs and tests Confab, and installs what that takes on a fresh machine.
//!
//! It has no dependencies, so that it starts at once. [`tools`] looks for each program that a step needs and installs
//! what is missing; [`build`] makes the site and the binary that carries it; [`test`] runs every check and adds up what the test
//! runners report ([`tally`]); [`dist`] makes packages. A step prints one line, and is skipped when it was done before.

use std::{env, os::unix::process::CommandExt as _, process::ExitCode};

use build::Profile;

mod build;
mod dist;
mod shell;
mod tally;
mod test;
mod tools;

const HELP: &str = "\
Build, run and test Confab. What is missing on this machine is installed first.

  cargo xtask build                   build the site and target/release/confab, which carries it
  cargo xtask build --dist            the same, better optimised: target/dist/confab, for installing; takes longer to build
  cargo xtask dist                    that, and target/packages: a tar.gz and a .deb of it, with checksums, a bill of materials, licences
  cargo xtask dist try [OLDER.deb]    install, upgrade and remove that .deb in a bare Debian 12 (by debootstrap, as root)
  cargo xtask serve [ARGS]            build, then run `confab serve ARGS` in the current folder
  cargo xtask dev [ARGS]              the same without optimisation, built again and loaded again in the browser whenever a file changes
  cargo xtask test                    everything below, and a line that counts the tests
  cargo xtask test lint               formatting and lints
  cargo xtask test rust [ARGS]        Rust tests; ARGS go to `cargo test`, for instance a part of a test's name
  cargo xtask test browser [ARGS]     build, then the browser tests; ARGS go to `playwright test`
  cargo xtask bench [NAME [WORDS]]    the benchmarks, each with its peers in the same run: all, or the one of benches/NAME.rs, and
                                      of that all cases, or those with one of the WORDS in their names; busy_room and first_visit run in a browser

CARGO_TARGET_DIR is respected. CHROMIUM names the browser of the tests, /usr/bin/chromium when it is not set, and
PEER_PYTHON the interpreter of the Python programs that the Rust tests talk with, target/python/bin/python when it is not set.
";

/// What a step comes to. The error is a sentence for the person at the terminal.
pub(crate) type Result<T = ()> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["build"] => build::all(Profile::Release),
        ["build", "--dist"] => build::all(Profile::Dist),
        ["dist"] => dist::all(),
        ["dist", "try", old @ ..] => dist::trial(old),
        ["serve", rest @ ..] => serve(rest),
        ["dev", rest @ ..] => build::watch(rest),
        ["test"] => test::all(),
        ["test", "lint"] => test::part(test::lint),
        ["test", "rust", rest @ ..] => test::part(|report| test::rust(report, rest)),
        ["test", "browser", rest @ ..] => test::part(|report| test::browser(report, rest)),
        ["bench", rest @ ..] => test::bench(rest),
        other => Err(format!("unknown: {}\n\n{HELP}", other.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Builds, then becomes the server, so that signals and the exit status are its own.
fn serve(args: &[&str]) -> Result {
    build::all(Profile::Release)?;
    let binary = shell::target_dir().join("release/confab");
    let mut server = shell::command_here(&binary);
    server.arg("serve").args(args);
    shell::say(&format!("run: {}", shell::line(&server)));
    Err(format!("{} did not start: {}", binary.display(), server.exec()))
}
