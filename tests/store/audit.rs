//! The log of who did what: what both databases write of it, beside what was done.

use std::sync::Arc;

use confab::server::{
    accounts::{AccountRecords, NewAccount},
    audit::{Act, AuditLog, By, Deed, Place},
    store::Records,
};

use crate::Opened;

fn new(id: &str, handle: &str, is_administrator: bool) -> NewAccount {
    let (handle, name) = (handle.parse().expect("a handle"), handle.parse().expect("a name"));
    NewAccount { id: id.to_owned(), handle, name, is_administrator, password: Some("$argon2id$...".to_owned()), subject: None }
}

/// What the log says, the newest last.
async fn lines(log: &AuditLog, of: Option<&str>) -> Vec<String> {
    let all = log.page(&Place::newest(), of, 100).await.expect("read");
    let line = |line: &confab::server::audit::Recorded| {
        let to = line.to.clone().unwrap_or_default();
        format!("{} {} {} {} {}", line.by_name, line.act, to.0, to.1, line.detail)
    };
    all.iter().rev().map(line).collect()
}

pub(crate) async fn an_account_that_is_made_is_recorded_and_one_that_is_not_is_not(opened: Opened<impl Records + 'static>) {
    let store = Arc::new(opened.store);
    let (records, log) = (AccountRecords::new(Arc::clone(&store) as _), AuditLog::new(Arc::clone(&store) as _));
    records.create(&new("a1", "Ann", false), 1).await.expect("written");
    records.create_by(&new("a2", "Bob", true), By::CommandLine, 2).await.expect("written");
    records.create(&new("a3", "ann", false), 3).await.expect_err("there is one");
    records.create(&new("a1", "other", false), 4).await.expect_err("there is one");
    let made = ["Ann account.made a1 Ann ", "the command line account.made a2 Bob as an administrator"];
    assert_eq!(lines(&log, None).await, made);
}

pub(crate) async fn what_is_recorded_with_something_is_there_with_it_or_not_at_all(opened: Opened<impl Records + 'static>) {
    let store = Arc::new(opened.store);
    let log = AuditLog::new(Arc::clone(&store) as _);
    let deed = |id, at| Deed::new(By::Server, Act::TokenMade).to(id, "with \0 and ü").at(at).statement();
    store.write(vec![deed("t1", 7), deed("t2", 7), deed("t1", 8)]).await.expect("written");
    let twice = deed("t3", 9);
    store.write(vec![twice.clone(), twice]).await.expect_err("the second is the same");
    let all = ["token.made t1", "token.made t2", "token.made t1"].map(|line| format!("the server {line} with \0 and ü "));
    let mut found = lines(&log, None).await;
    found[..2].sort();
    assert_eq!(found, all);
    assert_eq!(lines(&log, Some("t1")).await.len(), 2);
    // Of several in one millisecond none is left out where a part ends.
    let first = log.page(&Place::newest(), None, 2).await.expect("read");
    let last = first.last().expect("two");
    let rest = log.page(&Place { at: last.at.as_millis(), id: last.id.clone() }, None, 9).await.expect("read");
    assert_eq!(rest.len(), 1);
}
