//! What the real program does on signals that are no request to stop.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::{app::Program, clients::V1, support::process::Process};

#[tokio::test]
async fn signals_that_mean_nothing_here_end_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    let mut command = Command::new("sh");
    let start = "exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\" 2>&1";
    command.args(["-c", start, env!("CARGO_BIN_EXE_confab")]).arg(data.path()).current_dir(data.path());
    let mut process = Process::start(command, "it is built with the tests");
    process.logs("serving address=").await;
    let log = process.log();
    let address = log.split("serving address=").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.and_then(|address| address.parse().ok()).expect("an address in the log");
    let mut v1 = V1::connect(address, "/room/a/").await;
    for signal in ["HUP", "USR1", "USR2", "HUP"] {
        let mark = process.mark();
        process.signal(signal);
        process.logs_after(mark, &format!("signal=\"SIG{signal}\"")).await;
        v1.ok(json!({"ping": {}})).await;
    }
    process.signal("TERM");
    assert_eq!(v1.closed().await.0, 4003);
    process.end();
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let data = tempfile::tempdir().expect("a folder");
    // What is piped into ends at once when the address is known.
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$@\" 2>&1 >/dev/null | { sed /serving/q >&2; }", "sh"]).stdin(Stdio::null());
    let program = Program::start_by(shell, data.path()).await;
    let mut v1 = V1::connect(program.address, "/room/a/").await;
    // The pipe breaks with the first line after that; the program is the shell's only child that serves.
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", program.id())).expect("the shell's");
    let sent = Command::new("sh").args(["-c", &format!("kill -HUP {children}")]).status().expect("a shell");
    assert!(sent.success());
    for n in 0..5 {
        v1.ok(json!({"ping": {}})).await;
        assert_eq!(v1.post("room/a", &format!("k{n}"), "kept").await, n + 1);
        // It may come after the answer.
        assert_eq!(v1.push().await["event"]["text"], "kept");
    }
    let sent = Command::new("sh").args(["-c", &format!("kill -TERM {children}")]).status().expect("a shell");
    assert!(sent.success());
    assert_eq!(v1.closed().await.0, 4003);
}
