//! What the store in memory takes of the machine's.

use std::{env, fs, process::Command};

use confab::server::store::{Log as _, MemoryStore};

use crate::message;

/// Says to this test, run by itself, that it is alone in its process.
const ALONE: &str = "CONFAB_TEST_ALONE";
const NAME: &str = "memory::a_store_takes_no_more_memory_than_it_may_whatever_it_is_full_of";

/// What this process has in memory, in MiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[tokio::test]
async fn a_store_takes_no_more_memory_than_it_may_whatever_it_is_full_of() {
    const BOUND: u64 = 256;
    if env::var_os(ALONE).is_none() {
        let alone = Command::new(env::current_exe().expect("this program")).args(["--exact", NAME]).env(ALONE, "1").output();
        let alone = alone.expect("it runs");
        assert!(alone.status.success() && String::from_utf8_lossy(&alone.stdout).contains("1 passed"), "{alone:?}");
        return;
    }
    let (store, commits) = MemoryStore::new(1_000);
    drop(commits);
    let before = resident();
    // Of a byte of text each: it is the names that are long.
    let fill = async |room: &str| {
        for number in 0..1_000 {
            let mut said = message(room, &number.to_string(), "x");
            said.from.name = "n".repeat(4_000);
            store.append(said).await.expect("stored");
        }
    };
    for room in 0..100 {
        fill(&format!("r{room}")).await;
        let taken = resident() - before;
        assert!(taken <= BOUND + BOUND / 10, "{taken} MiB with {room} rooms");
    }
    let taken = resident() - before;
    assert!(taken >= BOUND / 2, "it holds what it may: {taken} MiB");
}
