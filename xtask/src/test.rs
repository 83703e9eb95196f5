//! Checks and tests. One that fails does not keep the others from running; the end says which failed, and the last line
//! counts the tests of all runners.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write},
    process::{Command, Stdio},
};

use crate::{
    Result,
    build::{self, Profile},
    shell::{command, line, root, run, say, target_dir},
    tally::{self, Tally},
    tools,
};

/// What has come of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tally: Tally,
    /// Sentences on the steps that failed.
    failures: Vec<String>,
}

impl Report {
    fn check(&mut self, outcome: Result) {
        self.tests(Tally::default(), outcome);
    }

    /// Adds the tests of one step. A step that fails without a failed test, since it did not get that far, counts as one: a
    /// run that is not good never says `0 failed`.
    fn tests(&mut self, mut tally: Tally, outcome: Result) {
        if let Err(message) = outcome {
            say(&message);
            self.failures.push(message);
            tally.failed = tally.failed.max(1);
        }
        self.tally += tally;
    }

    fn finish(self) -> Result {
        for failure in &self.failures {
            say(&format!("failed: {failure}"));
        }
        println!("{}", self.tally);
        if self.tally.failed == 0 { Ok(()) } else { Err("not everything is well".to_owned()) }
    }
}

/// Runs everything.
pub(crate) fn all() -> Result {
    part(|report| {
        lint(report);
        rust(report, &[]);
        browser(report, &[]);
    })
}

/// Runs one part and counts its tests.
pub(crate) fn part(steps: impl FnOnce(&mut Report)) -> Result {
    let mut report = Report::default();
    steps(&mut report);
    report.finish()
}

/// Formatting, and lints for the server, the browser, xtask and the files for Docker.
pub(crate) fn lint(report: &mut Report) {
    if let Err(error) = tools::for_lint() {
        return report.check(Err(error));
    }
    report.check(run("format", command("cargo").args(["fmt", "--all", "--check"])));
    let server = ["--workspace", "--all-targets", "--features", "confab/ssr"];
    report.check(run("lints of the server and of xtask", &mut clippy(&server)));
    let browser = ["--lib", "--features", "hydrate", "--target", "wasm32-unknown-unknown"];
    report.check(run("lints of the browser's half", &mut clippy(&browser)));
    let mut docker = |linter, file| {
        let mut npx = npx(&[linter, file]);
        report.check(run(&format!("lints of the {file}"), npx.current_dir(root().join(tools::DOCKER))));
    };
    docker("dockerfilelint", "Dockerfile");
    docker("dclint", "compose.yaml");
}

fn clippy(args: &[&str]) -> Command {
    let mut cargo = command("cargo");
    cargo.arg("clippy").args(args).args(["--", "-D", "warnings"]);
    cargo
}

/// The Rust tests, of xtask too.
pub(crate) fn rust(report: &mut Report, args: &[&str]) {
    if let Err(error) = tools::for_rust_tests() {
        return report.check(Err(error));
    }
    let mut cargo = command("cargo");
    // Tests of what expires and of what must not come wait more than they work.
    cargo.env("RUST_TEST_THREADS", "8");
    cargo.args(["test", "--no-fail-fast", "--workspace", "--features", "confab/ssr"]).args(args);
    let (tally, outcome) = run_libtest("Rust tests", &mut cargo, &mut io::stdout());
    report.tests(tally, outcome);
}

/// The benches that run in a browser, in `end2end/benches`.
const IN_BROWSER: [&str; 2] = ["busy_room", "first_visit"];

/// Runs the benchmarks, or the one that is named first, with the words that choose its cases; they print their figures. Built as
/// what is installed.
pub(crate) fn bench(args: &[&str]) -> Result {
    if let [name] = args
        && IN_BROWSER.contains(name)
    {
        return bench_in_browser(args);
    }
    let mut cargo = command("cargo");
    cargo.args(["bench", "--profile", Profile::Dist.name(), "--features", "ssr"]);
    match args {
        [] => cargo.arg("--benches"),
        [name, words @ ..] if root().join("benches").join(name).with_extension("rs").is_file() => {
            cargo.args(["--bench", name, "--"]).args(words)
        }
        [other, ..] => return Err(format!("there is no benchmark in benches/{other}.rs")),
    };
    tools::for_benchmarks()?;
    run("benchmarks", &mut cargo)?;
    if args.is_empty() { bench_in_browser(&[]) } else { Ok(()) }
}

/// All of them, or the one that is named. What is loaded is the same in each build of the server, so the quick one will do.
fn bench_in_browser(names: &[&str]) -> Result {
    build::all(Profile::Release)?;
    tools::for_browser()?;
    let mut playwright = npx(&["playwright", "test", "--config", "bench.config.ts"]);
    run("benchmarks in a browser", playwright.args(names).env("CONFAB", target_dir().join("release/confab")))
}

/// Shows what the tests print as it comes and adds up their last lines.
fn run_libtest(what: &str, command: &mut Command, terminal: &mut dyn Write) -> (Tally, Result) {
    let mut tally = Tally::default();
    let shown = line(command);
    say(&format!("{what}: {shown}"));
    let mut follow = || -> io::Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut output = child.stdout.take().map(BufReader::new).ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            terminal.write_all(&line)?;
            tally += tally::of_libtest(&String::from_utf8_lossy(&line)).unwrap_or_default();
            line.clear();
        }
        Ok(child.wait()?.success())
    };
    let outcome = match follow() {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{what}: `{shown}` failed")),
        Err(error) => Err(format!("{what}: `{shown}`: {error}")),
    };
    (tally, outcome)
}

/// The browser tests, on the release build.
pub(crate) fn browser(report: &mut Report, args: &[&str]) {
    if let Err(error) = build::all(Profile::Release).and_then(|()| tools::for_browser()) {
        return report.check(Err(error));
    }
    report.check(run("types of the browser tests", &mut npx(&["tsc", "--noEmit"])));
    let results = root().join("end2end/test-results/report.json");
    // Of an earlier run, perhaps: it must not be counted if this run does not get as far as to write its own.
    let _ = fs::remove_file(&results);
    let mut playwright = npx(&["playwright", "test"]);
    playwright.args(args).env("CONFAB", target_dir().join("release/confab"));
    if std::env::var_os("PEER_PYTHON").is_none() {
        playwright.env("PEER_PYTHON", target_dir().join("python/bin/python"));
    }
    let outcome = run("browser tests", &mut playwright);
    let tally = fs::read_to_string(&results).ok().and_then(|json| tally::of_playwright(&json));
    match tally {
        Some(tally) => report.tests(tally, outcome),
        None => report.check(outcome.and(Err(format!("browser tests: no counts in {}", results.display())))),
    }
}

fn npx(args: &[&str]) -> Command {
    let mut npx = command("npx");
    npx.arg("--no-install").args(args).current_dir(root().join("end2end"));
    npx
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut sh = Command::new("sh");
        sh.args(["-c", script]);
        sh
    }

    #[test]
    fn the_results_of_several_test_binaries_are_added_up() {
        let result = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        // Not to the terminal: the run of this very test would count them as its own.
        let mut shown = Vec::new();
        let mut command = shell(&format!("echo '{result}'; echo; echo '{result}'"));
        let (tally, outcome) = run_libtest("try", &mut command, &mut shown);
        assert_eq!((tally, outcome), (Tally { passed: 4, failed: 0, skipped: 2 }, Ok(())));
        assert_eq!(String::from_utf8_lossy(&shown), format!("{result}\n\n{result}\n"));
    }

    #[test]
    fn a_step_that_dies_before_its_tests_counts_as_failed() {
        let (tally, outcome) = run_libtest("try", &mut shell("exit 101"), &mut io::sink());
        let mut report = Report::default();
        report.tests(tally, outcome);
        assert_eq!(report.tally, Tally { passed: 0, failed: 1, skipped: 0 });
        assert!(report.finish().is_err());
    }

    #[test]
    fn failed_tests_are_counted_once() {
        let mut report = Report::default();
        report.tests(Tally { passed: 5, failed: 2, skipped: 0 }, Err("some failed".to_owned()));
        assert_eq!(report.tally, Tally { passed: 5, failed: 2, skipped: 0 });
    }
}
