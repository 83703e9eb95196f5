//! Wrong passwords and codes, counted for each address and for each account. Where an account has had too many, only addresses from which its owner
//! has signed in before may try: others cannot lock them out.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::server::visitors::Subnet;

/// For how long a wrong one counts.
const WITHIN: Duration = Duration::from_mins(3);
/// How many an address may have in that time,
const OF_ADDRESS: u32 = 10;
/// an account,
const OF_ACCOUNT: u32 = 20;
/// and how many accounts an address may make.
const SIGN_UPS: u32 = 10;
/// For how long a wrong code counts, and how many an account may have in that time, from wherever: whoever shows one knows the password.
const WITHIN_CODES: Duration = Duration::from_hours(1);
const CODES: u32 = 10;
/// Of so many addresses and accounts is counted at most.
const MOST: usize = 65_536;
/// So many places from which people have signed in are remembered.
const KNOWN: usize = 65_536;

/// How often something was done of late.
struct Counts<K> {
    within: Duration,
    of: Mutex<HashMap<K, (u32, Instant)>>,
}

/// See the [module](self).
pub struct Attempts {
    addresses: Counts<Subnet>,
    accounts: Counts<String>,
    codes: Counts<String>,
    sign_ups: Counts<Subnet>,
    known: Mutex<HashSet<(String, Subnet)>>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            addresses: Counts::within(WITHIN),
            accounts: Counts::within(WITHIN),
            codes: Counts::within(WITHIN_CODES),
            sign_ups: Counts::within(WITHIN),
            known: Mutex::default(),
        }
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn within(within: Duration) -> Self {
        Self { within, of: Mutex::default() }
    }

    /// # Errors
    /// There were so many already; how long until they do not count any more.
    fn may(&self, key: &K, most: u32) -> Result<(), Duration> {
        let counts = self.of.lock();
        match counts.get(key) {
            Some((count, since)) if *count >= most && since.elapsed() < self.within => {
                Err(self.within.saturating_sub(since.elapsed()))
            }
            _ => Ok(()),
        }
    }

    fn count(&self, key: K) {
        let mut counts = self.of.lock();
        if counts.len() >= MOST {
            counts.retain(|_, (_, since)| since.elapsed() < self.within);
        }
        if counts.len() >= MOST {
            counts.clear();
        }
        let (count, since) = counts.entry(key).or_insert_with(|| (0, Instant::now()));
        if since.elapsed() >= self.within {
            (*count, *since) = (0, Instant::now());
        }
        *count = count.saturating_add(1);
    }
}

impl Attempts {
    /// Whether somebody at this address may try to sign in by this handle, in its folded form.
    ///
    /// # Errors
    /// Too many were wrong; how long until the next may be tried.
    pub(in crate::server) fn may(&self, account: &str, address: Subnet) -> Result<(), Duration> {
        self.addresses.may(&address, OF_ADDRESS)?;
        let account = account.to_owned();
        if self.known.lock().contains(&(account.clone(), address)) {
            return Ok(());
        }
        self.accounts.may(&account, OF_ACCOUNT)
    }

    /// It was wrong.
    pub(in crate::server) fn failed(&self, account: &str, address: Subnet) {
        self.addresses.count(address);
        self.accounts.count(account.to_owned());
    }

    /// Whether somebody at this address may try a code of this account.
    ///
    /// # Errors
    /// Too many were wrong; how long until the next may be tried.
    pub(in crate::server) fn may_code(&self, account: &str, address: Subnet) -> Result<(), Duration> {
        self.addresses.may(&address, OF_ADDRESS)?;
        self.codes.may(&account.to_owned(), CODES)
    }

    /// It was wrong.
    pub(in crate::server) fn failed_code(&self, account: &str, address: Subnet) {
        self.addresses.count(address);
        self.codes.count(account.to_owned());
    }

    /// It was right: its owner is there.
    pub(in crate::server) fn succeeded(&self, account: &str, address: Subnet) {
        let mut known = self.known.lock();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert((account.to_owned(), address));
    }

    /// Whether another account may be made from this address; counts it.
    ///
    /// # Errors
    /// There were too many; how long until there may be one.
    pub(in crate::server) fn sign_up(&self, address: Subnet) -> Result<(), Duration> {
        self.sign_ups.may(&address, SIGN_UPS)?;
        self.sign_ups.count(address);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::visitors::Visitor;

    fn address(n: u8) -> Subnet {
        Visitor::direct([192, 0, 2, n].into()).subnet()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_its_budget_and_gets_it_back() {
        let attempts = Attempts::default();
        for n in 0..OF_ADDRESS {
            assert!(attempts.may("ann", address(1)).is_ok());
            attempts.failed(&format!("name {n}"), address(1));
        }
        assert!(attempts.may("ann", address(1)).is_err_and(|wait| wait <= WITHIN));
        assert!(attempts.may("ann", address(2)).is_ok());
        tokio::time::advance(WITHIN).await;
        assert!(attempts.may("ann", address(1)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_do_not_guess_and_do_not_lock_the_owner_out() {
        let attempts = Attempts::default();
        attempts.succeeded("ann", address(0));
        for n in 1..=100 {
            if attempts.may("ann", address(n)).is_ok() {
                attempts.failed("ann", address(n));
            }
        }
        assert_eq!(attempts.accounts.of.lock()["ann"].0, OF_ACCOUNT);
        assert!(attempts.may("ann", address(101)).is_err());
        assert!(attempts.may("ann", address(0)).is_ok(), "she is known there");
        assert!(attempts.may("bob", address(101)).is_ok());
    }

    #[tokio::test]
    async fn what_is_counted_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..MOST + 10 {
            attempts.failed(&n.to_string(), address(1));
            attempts.succeeded(&n.to_string(), address(1));
        }
        assert!(attempts.accounts.of.lock().len() <= MOST && attempts.known.lock().len() <= KNOWN);
    }
}
