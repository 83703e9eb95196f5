//! What a connection may still say: so many commands or plain messages a second, so many bytes a second, and so many messages a
//! second together with whatever else its account says.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::Limits;
use crate::server::{
    accounts::Account,
    bucket::{Bucket, Buckets},
};

/// One connection's, and its share in its account's.
pub(super) struct Allowance {
    messages: Bucket,
    bytes: Bucket,
    account: Option<Account>,
    accounts: Arc<Buckets<Account>>,
}

/// A rate that was used up, and how long until there is something of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Messages(Duration),
    Bytes(Duration),
    Account(Duration),
}

impl Spent {
    pub(super) fn wait(self) -> Duration {
        let (Self::Messages(wait) | Self::Bytes(wait) | Self::Account(wait)) = self;
        wait
    }
}

impl Allowance {
    pub(super) fn new(limits: &Limits, account: Option<Account>, accounts: Arc<Buckets<Account>>) -> Self {
        let (messages, bytes) = (Bucket::new(limits.messages_per_second), Bucket::new(limits.bytes_per_second));
        Self { messages, bytes, account, accounts }
    }

    /// Takes what one message of so many bytes costs, or takes nothing where one of the rates is used up. A message may be
    /// longer than what is left of the bytes: the rest is owed.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        let now = Instant::now();
        let (messages, of_bytes) = (self.messages.wait(now), self.bytes.wait(now));
        if messages.max(of_bytes) > Duration::ZERO {
            return Err(if messages > of_bytes { Spent::Messages(messages) } else { Spent::Bytes(of_bytes) });
        }
        if let Some(account) = self.account {
            self.accounts.take(account).map_err(Spent::Account)?;
        }
        self.messages.charge(1);
        self.bytes.charge(count(bytes));
        Ok(())
    }

    /// Takes what one message costs whether it is there or has to be owed, and says how long the next has to wait.
    pub(super) fn charge(&mut self, bytes: usize) -> Duration {
        let now = Instant::now();
        self.messages.charge(1);
        self.bytes.charge(count(bytes));
        let of_account = self.account.map_or(Duration::ZERO, |account| self.accounts.charge(account));
        self.messages.wait(now).max(self.bytes.wait(now)).max(of_account)
    }

    /// The same for what costs its bytes alone.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Duration {
        self.bytes.charge(count(bytes));
        self.bytes.wait(Instant::now())
    }
}

fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::accounts::Guest;

    /// With these rates of messages and bytes, and this one of the account.
    fn allowance(
        messages_per_second: u32,
        bytes_per_second: u32,
        accounts: &Arc<Buckets<Account>>,
        who: Option<Account>,
    ) -> Allowance {
        let limits = Limits {
            message_bytes: 1_000,
            backlog_bytes: 0,
            messages_per_second,
            bytes_per_second,
            topics: usize::MAX,
            ping_s: 25,
        };
        Allowance::new(&limits, who, Arc::clone(accounts))
    }

    fn somebody() -> Account {
        Guest::of(&axum::http::HeaderMap::new()).account
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_as_long_as_it_may_be_goes_through_and_its_bytes_are_paid_off() {
        let mut allowance = allowance(0, 10, &Arc::new(Buckets::new(0)), None);
        assert_eq!(allowance.take(1_000), Ok(()));
        let wait = Duration::from_millis(95_100);
        assert_eq!(allowance.take(1), Err(Spent::Bytes(wait)), "950 are owed");
        tokio::time::advance(wait).await;
        assert_eq!(allowance.take(1_000), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_refused_costs_nothing() {
        let accounts = Arc::new(Buckets::new(1));
        let mut allowance = allowance(1, 10, &accounts, Some(somebody()));
        assert!((0..5).all(|_| allowance.take(1).is_ok()));
        let wait = Duration::from_secs(1);
        assert!((0..100).all(|_| allowance.take(1_000) == Err(Spent::Messages(wait))));
        tokio::time::advance(wait).await;
        assert_eq!(allowance.take(1_000), Ok(()));
        assert!(matches!(allowance.take(1), Err(Spent::Bytes(wait)) if wait > Duration::from_secs(90)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_connections_of_one_account_share_its_rate() {
        let accounts = Arc::new(Buckets::new(2));
        let (ann, bob) = (somebody(), somebody());
        let mut tabs: Vec<_> = (0..10).map(|_| allowance(20, 0, &accounts, Some(ann))).collect();
        assert!(tabs.iter_mut().all(|tab| tab.take(1).is_ok()), "five seconds' worth");
        let wait = Duration::from_millis(500);
        assert!(tabs.iter_mut().all(|tab| tab.take(1) == Err(Spent::Account(wait))));
        assert!(allowance(20, 0, &accounts, Some(bob)).take(1).is_ok(), "another's is its own");
        assert!((0..20).all(|_| allowance(20, 0, &accounts, None).take(1).is_ok()), "who has no account");
        tokio::time::advance(wait).await;
        assert_eq!(tabs.iter_mut().filter_map(|tab| tab.take(1).ok()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_refused_waits_for_the_slowest_rate() {
        let accounts = Arc::new(Buckets::new(10));
        let mut allowance = allowance(1, 100, &accounts, Some(somebody()));
        assert!((0..4).all(|_| allowance.charge(10).is_zero()));
        assert_eq!(allowance.charge(10), Duration::from_secs(1));
        assert_eq!(allowance.charge(1_000), Duration::from_millis(5_510));
        assert_eq!(allowance.charge_bytes(100), Duration::from_millis(6_510));
    }
}
