//! What accounts and addresses may still have the server carry for them, in bytes: of messages and of answers, on all of their
//! connections and over HTTP.
//!
//! What somebody asks for is charged by what it costs, whether there is enough left or not, and who owes waits until it is paid off. So
//! it makes no difference on how many connections, or in how many pieces, something comes.
//!
//! What is charged is done all the same when there was something left before it. A hundred connections that each bring a long message in
//! that moment would keep everybody else waiting for all of them: of an address one is [read at a time](Quotas::turn).

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use super::{
    accounts::RateKey,
    bucket::Buckets,
    turns::{Turn, Turns},
    visitors::Subnet,
};

/// So many times as many topics as one connection may be in all connections of an address.
const TOPICS: usize = 32;
/// A message is charged as so many bytes at least: to handle one costs as much as to copy these.
const LEAST: usize = 1_024;

/// The rates of all accounts and addresses.
pub struct Quotas {
    accounts: Buckets<RateKey>,
    addresses: Buckets<Subnet>,
    turns: Turns<Subnet>,
    /// The topics in which those of each address are: each takes some kilobytes as long as they are there.
    topics: Seats,
}

/// How many are taken, for each address.
type Seats = Arc<Mutex<HashMap<Subnet, usize>>>;

/// Being in a topic, for the address that has it in memory; given back when dropped.
pub struct Seat {
    /// None where nobody is behind the address.
    of: Option<(Subnet, Seats)>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((address, topics)) = &self.of else { return };
        let mut topics = topics.lock();
        if let Some(count) = topics.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                topics.remove(address);
            }
        }
    }
}

/// In the extensions of an answer that took more to make than its length says: what it is charged as at least, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Weight(pub usize);

impl Weight {
    /// Of an answer for which so many names of rooms were looked at that are not in it.
    pub fn of_names(looked_at: usize) -> Self {
        const NAME: usize = 32;
        Self(looked_at * NAME)
    }

    /// Adds it to what an answer is charged as.
    pub fn put_on(self, response: &mut Response) {
        let before = response.extensions().get().map_or(0, |Self(bytes)| *bytes);
        response.extensions_mut().insert(Self(before + self.0));
    }
}

/// Who is charged.
#[derive(Clone, Copy, Debug)]
pub struct Payer {
    /// None for somebody who has shown no secret and can be nobody else.
    pub account: Option<RateKey>,
    /// None for what comes from the server's own machine: it is its owner's, or of a proxy that nobody has told us to trust, and then
    /// of everybody's.
    pub address: Option<Subnet>,
}

/// A rate that was used up, and how long until there is something of it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owed {
    ByAccount(Duration),
    ByAddress(Duration),
}

impl Owed {
    pub fn wait(self) -> Duration {
        let (Self::ByAccount(wait) | Self::ByAddress(wait)) = self;
        wait
    }

    /// Who has to wait longer, if anybody has to.
    fn of(account: Duration, address: Duration) -> Option<Self> {
        let owed = if account > address { Self::ByAccount(account) } else { Self::ByAddress(address) };
        (!owed.wait().is_zero()).then_some(owed)
    }
}

impl Quotas {
    /// Bytes a second of each account and each address; 0 for no bound.
    pub fn new(of_account: u32, of_address: u32) -> Self {
        // In a line are as many at most as an address has connections.
        Self {
            accounts: Buckets::new(of_account),
            addresses: Buckets::new(of_address),
            turns: Turns::new(usize::MAX),
            topics: Arc::default(),
        }
    }

    /// Bytes a second of an account; 0 for no bound.
    pub fn of_account(&self) -> u32 {
        self.accounts.per_second()
    }

    /// Bytes a second of an address; 0 for no bound.
    pub fn of_address(&self) -> u32 {
        self.addresses.per_second()
    }

    /// Charges a message of so many bytes, which has come.
    ///
    /// # Errors
    /// There was nothing left before it. It is charged all the same.
    pub fn charge_message(&self, payer: Payer, bytes: usize) -> Result<(), Owed> {
        let before = self.owed(payer);
        self.charge(payer, bytes.max(LEAST));
        match before {
            None => Ok(()),
            Some(before) => Err(self.owed(payer).unwrap_or(before)),
        }
    }

    /// Waits until it is one's turn, of all connections of the address, to have a message inflated or a long one read. The turn ends when
    /// what is given is dropped. None where nobody waits for anybody.
    pub async fn turn(&self, payer: Payer) -> Option<Turn<Subnet>> {
        self.turns.turn(payer.address?).await.ok()
    }

    /// Takes a place among the topics of an address, of which a connection may be in so many; none where there is none left.
    pub fn seat(&self, payer: Payer, of_connection: usize) -> Option<Seat> {
        let Some(address) = payer.address else { return Some(Seat { of: None }) };
        let mut topics = self.topics.lock();
        let count = topics.entry(address).or_default();
        if *count >= Self::most_seats(of_connection) {
            return None;
        }
        *count += 1;
        Some(Seat { of: Some((address, Arc::clone(&self.topics))) })
    }

    /// In how many topics those of an address are at most.
    pub fn most_seats(of_connection: usize) -> usize {
        of_connection.saturating_mul(TOPICS)
    }

    /// Charges so many bytes.
    pub fn charge(&self, Payer { account, address }: Payer, bytes: usize) {
        let bytes = count(bytes);
        if let Some(account) = account {
            self.accounts.charge(account, bytes);
        }
        if let Some(address) = address {
            self.addresses.charge(address, bytes);
        }
    }

    /// Gives back what was charged too much.
    pub fn refund(&self, Payer { account, address }: Payer, bytes: usize) {
        let bytes = count(bytes);
        if let Some(account) = account {
            self.accounts.refund(account, bytes);
        }
        if let Some(address) = address {
            self.addresses.refund(address, bytes);
        }
    }

    /// Whether there is nothing left.
    pub fn owed(&self, Payer { account, address }: Payer) -> Option<Owed> {
        let account = account.map_or(Duration::ZERO, |account| self.accounts.wait(account));
        let address = address.map_or(Duration::ZERO, |address| self.addresses.wait(address));
        Owed::of(account, address)
    }

    /// Resolves when nothing is owed any more.
    pub async fn paid(&self, payer: Payer) {
        while let Some(owed) = self.owed(payer) {
            tokio::time::sleep(owed.wait()).await;
        }
    }

    /// A body that is charged as it goes by.
    pub fn metered(self: &Arc<Self>, body: Body, payer: Payer) -> Body {
        let quotas = Arc::clone(self);
        Body::new(body.map_frame(move |frame| {
            if let Some(data) = frame.data_ref() {
                quotas.charge(payer, data.len());
            }
            frame
        }))
    }
}

/// As buckets count.
pub fn count(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::accounts::Guest;

    fn somebody() -> RateKey {
        Guest::of(&axum::http::HeaderMap::new()).rate_key
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_charged_is_owed_by_whoever_has_less_of_it() {
        let quotas = Quotas::new(10_000, 1_000);
        let (one, other) =
            (Payer { account: Some(somebody()), address: None }, Payer { account: Some(somebody()), address: None });
        assert_eq!(quotas.charge_message(one, 60_000), Ok(()), "it goes through whole");
        assert_eq!(quotas.owed(one), Some(Owed::ByAccount(Duration::from_micros(1_000_100))));
        assert_eq!(quotas.charge_message(one, 10_000), Err(Owed::ByAccount(Duration::from_micros(2_000_100))));
        assert_eq!(quotas.owed(other), None);
        quotas.refund(one, 30_000);
        assert_eq!(quotas.owed(one), None);
        let nobody = Payer { account: None, address: None };
        assert!((0..100).all(|_| quotas.charge_message(nobody, usize::MAX).is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_message_is_charged_for_being_one() {
        let quotas = Quotas::new(1_024, 0);
        let payer = Payer { account: Some(somebody()), address: None };
        assert_eq!((0..100).take_while(|_| quotas.charge_message(payer, 1).is_ok()).count(), 5);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(quotas.owed(payer).is_some(), "the sixth is paid off");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(quotas.charge_message(payer, 1), Ok(()));
    }
}
