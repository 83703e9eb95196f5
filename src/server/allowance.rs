//! What a connection may still say and ask for: so many commands or plain messages a second, so many bytes a second, and both
//! together with whatever else its account and its address do.
//!
//! Messages are charged when they have come, before anything is made of them. An answer is charged in advance, as long as answers may
//! be, and what was too much is given back when it is there.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    accounts::RateKey,
    bucket::{Bucket, Buckets},
    limits::Limits,
    quota::{Owed, Payer, Quotas, Seat, count},
    turns::Turn,
    visitors::Subnet,
};

/// What is paid in advance for an answer that may be long.
const ADVANCE: usize = 512 * 1024;

/// So many copies of a message cost its sender's address as much as the message: that is about what writing them takes.
const COPIES: usize = 16;
/// A copy counts as so many bytes at least.
const LEAST_COPY: usize = 64;

/// One connection's, and its share in its account's and its address's.
pub(super) struct Allowance {
    messages: Bucket,
    bytes: Bucket,
    payer: Payer,
    accounts: Arc<Buckets<RateKey>>,
    quotas: Arc<Quotas>,
}

/// A rate that was used up, and how long until there is something of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    Messages(Duration),
    Bytes(Duration),
    Account(Duration),
    /// What the account or the address may have carried.
    Quota(Owed),
}

impl Spent {
    pub(super) fn wait(self) -> Duration {
        match self {
            Self::Messages(wait) | Self::Bytes(wait) | Self::Account(wait) => wait,
            Self::Quota(owed) => owed.wait(),
        }
    }
}

impl Allowance {
    pub(super) fn new(limits: &Limits, payer: Payer, accounts: &Arc<Buckets<RateKey>>, quotas: &Arc<Quotas>) -> Self {
        let (messages, bytes) = (Bucket::new(limits.messages_per_second), Bucket::new(limits.bytes_per_second));
        Self { messages, bytes, payer, accounts: Arc::clone(accounts), quotas: Arc::clone(quotas) }
    }

    /// Somebody else is charged from now on; the address is the same.
    pub(super) fn belongs_to(&mut self, account: Option<RateKey>) {
        self.payer.account = account;
    }

    /// A message of so many bytes has come: that is charged to the account and the address, whatever becomes of it.
    ///
    /// # Errors
    /// They had nothing left before it.
    pub(super) fn receive(&self, bytes: usize) -> Result<(), Spent> {
        self.quotas.charge_message(self.payer, bytes).map_err(Spent::Quota)
    }

    /// See [`Quotas::seat`].
    pub(super) fn seat(&self, of_connection: usize) -> Option<Seat> {
        self.quotas.seat(self.payer, of_connection)
    }

    /// See [`Quotas::turn`].
    pub(super) async fn turn(&self) -> Option<Turn<Subnet>> {
        self.quotas.turn(self.payer).await
    }

    /// Takes what one message of so many bytes costs, or takes nothing where one of the connection's own rates is used up. A message
    /// may be longer than what is left of the bytes: the rest is owed.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        let now = Instant::now();
        let (messages, of_bytes) = (self.messages.wait(now), self.bytes.wait(now));
        if messages.max(of_bytes) > Duration::ZERO {
            return Err(if messages > of_bytes { Spent::Messages(messages) } else { Spent::Bytes(of_bytes) });
        }
        if let Some(account) = self.payer.account {
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
        let of_account = self.payer.account.map_or(Duration::ZERO, |account| self.accounts.charge(account, 1));
        self.messages.wait(now).max(of_account).max(self.charge_bytes(bytes))
    }

    /// The same for what costs its bytes alone.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Duration {
        self.bytes.charge(count(bytes));
        self.bytes.wait(Instant::now()).max(self.owed())
    }

    /// The same for frames that complete no message, which are charged to the account and the address as well.
    pub(super) fn charge_frames(&mut self, bytes: usize) -> Duration {
        self.quotas.charge(self.payer, bytes);
        self.charge_bytes(bytes)
    }

    /// What is said goes to so many members on this node: that is charged to the address, since people may talk in a large room as
    /// they do in a small one, and a hundred connections of one address may not.
    pub(super) fn charge_copies(&self, bytes: usize, members: usize) {
        let payer = Payer { account: None, ..self.payer };
        self.quotas.charge(payer, bytes.max(LEAST_COPY).saturating_mul(members) / COPIES);
    }

    /// Pays in advance for an answer that may be long.
    pub(super) fn advance(&mut self) {
        self.bytes.charge(count(ADVANCE));
        self.quotas.charge(self.payer, ADVANCE);
    }

    /// The answer for which was paid in advance has cost so many bytes.
    pub(super) fn settle(&mut self, bytes: usize) {
        self.bytes.refund(count(ADVANCE));
        self.bytes.charge(count(bytes));
        self.quotas.refund(self.payer, ADVANCE);
        self.quotas.charge(self.payer, bytes);
    }

    /// How long it is until the account and the address have paid off what they owe.
    pub(super) fn owed(&self) -> Duration {
        self.quotas.owed(self.payer).map_or(Duration::ZERO, Owed::wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{accounts::Guest, visitors::Visitor};

    /// With these rates of messages and bytes, and this one of the account.
    fn allowance(
        messages_per_second: u32,
        bytes_per_second: u32,
        accounts: &Arc<Buckets<RateKey>>,
        who: Option<RateKey>,
    ) -> Allowance {
        let payer = Payer { account: who, address: None };
        let limits = Limits {
            message_bytes: 1_000,
            backlog_bytes: 0,
            messages_per_second,
            bytes_per_second,
            topics: usize::MAX,
            ping_s: 25,
        };
        Allowance::new(&limits, payer, accounts, &Arc::new(Quotas::new(0, 0)))
    }

    fn somebody() -> RateKey {
        Guest::of(&axum::http::HeaderMap::new()).rate_key
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

    /// Without rates of its own, on the account of somebody who has this one for bytes.
    fn allowance_of(quotas: &Arc<Quotas>, who: RateKey) -> Allowance {
        let none = allowance(0, 0, &Arc::new(Buckets::new(0)), None);
        Allowance { payer: Payer { account: Some(who), address: None }, quotas: Arc::clone(quotas), ..none }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_is_charged_to_the_account_also_when_it_is_refused() {
        let quotas = Arc::new(Quotas::new(10_000, 0));
        let ann = somebody();
        let [one, other] = [allowance_of(&quotas, ann), allowance_of(&quotas, ann)];
        assert_eq!(one.receive(60_000), Ok(()));
        let owed = |millis: u64| Err(Spent::Quota(Owed::ByAccount(Duration::from_micros(millis * 1_000 + 100))));
        assert_eq!(other.receive(10_000), owed(2_000), "on another connection");
        assert_eq!(one.receive(10_000), owed(3_000));
        assert_eq!(allowance_of(&quotas, somebody()).receive(10_000), Ok(()));
        assert_eq!(one.owed(), Duration::from_micros(3_000_100));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_paid_in_advance_and_for_its_size_in_the_end() {
        let quotas = Arc::new(Quotas::new(1 << 20, 0));
        let ann = somebody();
        let mut tabs: Vec<_> = (0..100).map(|_| allowance_of(&quotas, ann)).collect();
        let mut asked = 0;
        for tab in &mut tabs {
            if tab.owed().is_zero() {
                tab.advance();
                asked += 1;
            }
        }
        assert_eq!(asked, 10, "five seconds' worth");
        assert!(!tabs[99].owed().is_zero());
        for tab in tabs.iter_mut().take(asked) {
            tab.settle(1_000);
        }
        assert!(tabs[99].owed().is_zero());
        assert_eq!(tabs[0].receive(5 << 20), Ok(()));
        assert_eq!(tabs[0].owed().as_millis(), 9, "10,000 bytes");
        let mut own = allowance(0, 1_000, &Arc::new(Buckets::new(0)), None);
        own.advance();
        own.settle(6_000);
        assert_eq!(own.take(1), Err(Spent::Bytes(Duration::from_millis(1_001))));
    }

    #[tokio::test]
    async fn one_long_message_at_a_time_is_read_of_an_address() {
        let quotas = Arc::new(Quotas::new(0, 0));
        let at = |address: &str| {
            let address = Some(Visitor::direct(address.parse().expect("an address")).subnet());
            Allowance { payer: Payer { account: None, address }, ..allowance_of(&quotas, somebody()) }
        };
        let [one, other, elsewhere] = [at("192.0.2.1"), at("192.0.2.1"), at("192.0.2.2")];
        let first = one.turn().await;
        assert!(first.is_some());
        let mut second = std::pin::pin!(other.turn());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert!(elsewhere.turn().await.is_some(), "another address's turn is its own");
        assert!(allowance_of(&quotas, somebody()).turn().await.is_none(), "what comes from the server's machine does not wait");
        drop(first);
        assert!(second.await.is_some());
    }
}
