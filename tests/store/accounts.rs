//! The tables of accounts: what both databases do with them.

use std::{sync::Arc, time::Duration};

use confab::server::{
    accounts::{AccountRecords, CreateError, Handle, HandleError, NewAccount},
    store::{Records, Statement},
};

use crate::Opened;

fn new(id: &str, handle: &str) -> NewAccount {
    NewAccount {
        id: id.to_owned(),
        handle: handle.parse().expect("a handle"),
        name: handle.parse().expect("a name"),
        is_administrator: id == "a1",
        password: (id == "a1").then(|| "$argon2id$...".to_owned()),
        subject: None,
    }
}

pub(crate) async fn an_account_is_found_by_what_it_is_called(opened: Opened<impl Records + 'static>) {
    let records = AccountRecords::new(Arc::new(opened.store));
    records.create(&new("a1", "Ann Smith"), 1).await.expect("written");
    let django = NewAccount { subject: Some(("django".to_owned(), "7".to_owned())), ..new("g2", "王小明") };
    records.create(&django, 2).await.expect("written");
    let ann = records.by_id("a1").await.expect("read").expect("there");
    assert_eq!((ann.handle.as_str(), ann.name.as_str(), ann.is_administrator), ("Ann_Smith", "Ann Smith", true));
    assert_eq!((ann.password.as_deref(), ann.is_deactivated), (Some("$argon2id$..."), false));
    for same in ["ann smith", "@ANN_SMITH", "\u{430}nn smith"] {
        let found = records.by_handle(&same.parse().expect("a handle")).await.expect("read");
        assert!(found.is_some_and(|found| found == ann), "{same}");
    }
    let found = records.by_subject("django", "7").await.expect("read").expect("there");
    assert_eq!((found.id.as_str(), found.password, found.is_administrator), ("g2", None, false));
    for (origin, subject) in [("django", "8"), ("jwt", "7")] {
        assert!(records.by_subject(origin, subject).await.expect("read").is_none());
    }
    assert!(records.by_id("g3").await.expect("read").is_none());
    assert_eq!(records.all().await.expect("read").len(), 2);
    for (wrong, taken) in [(new("a3", "ANN smith"), true), (new("a1", "other"), false)] {
        let error = records.create(&wrong, 3).await.expect_err("it is there");
        assert!(matches!(error, CreateError::Taken) == taken, "{error:?}");
    }
    let twice = NewAccount { id: "a4".to_owned(), handle: "else".parse().expect("a handle"), ..django };
    assert!(matches!(records.create(&twice, 3).await, Err(CreateError::Exists)));
    assert!(records.rename("a1", &"Anna".parse().expect("a name"), 4).await.expect("written"));
    assert!(!records.rename("a9", &"Anna".parse().expect("a name"), 4).await.expect("written"));
    assert_eq!(records.by_id("a1").await.expect("read").expect("there").name, "Anna");
}

pub(crate) async fn a_handle_is_kept_for_who_had_it(opened: Opened<impl Records + 'static>) {
    const KEPT: i64 = 30 * 24 * 60 * 60_000;
    let records = AccountRecords::new(Arc::new(opened.store));
    let handle = |text: &str| text.parse::<Handle>().expect("a handle");
    records.create(&new("a1", "ann"), 1).await.expect("written");
    records.create(&new("a2", "bob"), 1).await.expect("written");
    records.take_handle("a1", &handle("ann"), &handle("anna"), 5).await.expect("taken");
    assert_eq!(records.by_id("a1").await.expect("read").expect("there").handle.as_str(), "anna");
    for (whose, taken, at) in [("a2", true, 6), ("a1", false, 6), ("a2", true, KEPT), ("a2", false, KEPT + 5)] {
        assert_eq!(records.is_free(&handle("ANN"), whose, at).await.expect("read"), !taken, "{whose} at {at}");
    }
    for wished in ["ann", "anna"] {
        let refused = records.take_handle("a2", &handle("bob"), &handle(wished), 7).await;
        assert!(matches!(refused, Err(HandleError::Taken)), "{wished}: {refused:?}");
    }
    assert!(matches!(records.create(&new("a3", "Ann"), 7).await, Err(CreateError::Taken)));
    // Who has another one meanwhile, by another form, does not lose it.
    assert!(records.take_handle("a1", &handle("ann"), &handle("anne"), 8).await.is_err());
    assert_eq!(records.by_id("a1").await.expect("read").expect("there").handle.as_str(), "anna");
    for (before, after) in [("anna", "a-2"), ("a-2", "a-3")] {
        records.take_handle("a1", &handle(before), &handle(after), 9).await.expect("taken");
    }
    let refused = records.take_handle("a1", &handle("a-3"), &handle("a-4"), 9).await;
    assert!(
        matches!(refused, Err(HandleError::TooOften(wait)) if wait == Duration::from_millis(KEPT.cast_unsigned() - 4)),
        "{refused:?}"
    );
    records.take_handle("a1", &handle("a-3"), &handle("ann"), 9).await.expect("hers");
    // When that is over it is anybody's.
    records.take_handle("a2", &handle("bob"), &handle("a-2"), KEPT + 9).await.expect("free");
    records.create(&new("a3", "anna"), KEPT + 9).await.expect("free");
}

/// Also where a server of an earlier version has left its rows.
pub(crate) async fn sessions_and_links_go_with_their_account(opened: Opened<impl Records + 'static>) {
    let store = Arc::new(opened.store);
    let records = AccountRecords::new(Arc::clone(&store) as _);
    records.create(&new("a1", "ann"), 1).await.expect("written");
    let session = "INSERT INTO sessions (id, digest, rotated_at, account_id, device, created_at, used_at, ends_at)
        VALUES ($1, $2, 0, $3, 'x', 0, 0, 10)";
    let link = "INSERT INTO links (digest, purpose, account_id, ends_at) VALUES ($1, 'reset', $2, 10)";
    let of = |account: &str| {
        vec![
            Statement::new(session, ["s".into(), vec![1].into(), account.into()]),
            Statement::new(link, [vec![2].into(), account.into()]),
        ]
    };
    store.write(of("a2")).await.expect_err("there is no such account");
    store.write(of("a1")).await.expect("written");
    assert_eq!(records.devices("a1", 9).await.expect("read").len(), 1);
    assert_eq!(records.devices("a1", 10).await.expect("read"), [], "it has ended");
    store.write_one(Statement::new("DELETE FROM accounts WHERE id = $1", ["a1".into()])).await.expect("written");
    for sql in ["SELECT id FROM sessions", "SELECT purpose FROM links"] {
        assert_eq!(store.query(sql, &[]).await.expect("read"), []);
    }
}
