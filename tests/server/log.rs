//! What goes to the log that nobody wrote there.

use std::{env, process::Command, thread};

use confab::server::telemetry::Log;
use serde_json::Value;

#[test]
fn a_panic_is_one_line_of_the_log() {
    let child = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "log::the_child_that_panics", "--ignored", "--nocapture"])
        .env_remove("RUST_BACKTRACE")
        .output()
        .expect("this program");
    let log = String::from_utf8(child.stderr).expect("text");
    assert!(child.status.success(), "{log}");
    let [line] = log.lines().collect::<Vec<_>>()[..] else { panic!("not one line: {log}") };
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!((&line["level"], &line["fields"]["message"]), (&"ERROR".into(), &"a task has panicked".into()));
    assert_eq!(line["fields"]["cause"], "on purpose");
    assert!(line["fields"]["place"].as_str().is_some_and(|place| place.contains("log.rs:")), "{line}");
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn the_child_that_panics() {
    let environment = [("CONFAB_LOG_FORMAT".into(), "json".into())];
    Log::from_environment(&environment)
        .map_err(|mistakes| mistakes.to_string())
        .expect("a log")
        .start()
        .expect("the first log");
    assert!(thread::spawn(|| panic!("on purpose")).join().is_err());
}
