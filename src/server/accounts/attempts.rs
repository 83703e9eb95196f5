//! Passwords and codes that people show, looked at within bounds.
//!
//! Wrong ones are counted for each address and for each account. Where an account has had too many passwords, only addresses from which its
//! owner has signed in before may try: others cannot lock them out. Right passwords are counted for each account, since they cost as much.
//!
//! Each address has one password looked at at a time, and counts as wrong what it shows until it is known to be right. So however many it
//! sends at once, no more are looked at than one after the other would be.

use std::{collections::HashMap, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::password::{Busy, Checked, Password, Passwords};
use crate::server::{
    counts::{Counts, keep_greater_half},
    visitors::Subnet,
};

/// For how long a password counts.
const WITHIN: Duration = Duration::from_mins(3);
/// How many wrong ones an address may have in that time,
const OF_ADDRESS: u32 = 10;
/// an account,
const OF_ACCOUNT: u32 = 20;
/// how many right ones,
const RIGHT: u32 = 30;
/// and how many accounts an address may make.
const SIGN_UPS: u32 = 10;
/// For how long a wrong code counts, and how many an account may have in that time, from wherever: whoever shows one knows the password.
const WITHIN_CODES: Duration = Duration::from_hours(1);
const CODES: u32 = 10;
/// How often in an hour an account changes how others see it.
const PROFILES: u32 = 20;
/// So many places from which people have signed in are remembered.
const KNOWN: usize = 65_536;

/// See the [module](self).
pub struct Attempts {
    addresses: Counts<Subnet>,
    accounts: Counts<String>,
    codes: Counts<String>,
    right: Counts<String>,
    sign_ups: Counts<Subnet>,
    profiles: Counts<String>,
    /// From where people have signed in, and when they last did.
    known: Mutex<HashMap<(String, Subnet), Instant>>,
}

/// Why a password is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum NotChecked {
    /// There were too many; how long until the next may be tried.
    TooMany(Duration),
    Busy(Busy),
}

impl Default for Attempts {
    fn default() -> Self {
        let (addresses, accounts) = (Counts::new(OF_ADDRESS, WITHIN), Counts::new(OF_ACCOUNT, WITHIN));
        let (right, sign_ups) = (Counts::new(RIGHT, WITHIN), Counts::new(SIGN_UPS, WITHIN));
        let (codes, profiles) = (Counts::new(CODES, WITHIN_CODES), Counts::new(PROFILES, Duration::from_hours(1)));
        Self { addresses, accounts, right, codes, sign_ups, profiles, known: Mutex::default() }
    }
}

impl Attempts {
    /// Looks at a password that somebody at this address shows as that of an account, by its handle in its folded form and its hash. It is
    /// wrong where there is no hash.
    ///
    /// # Errors
    /// See [`NotChecked`].
    pub(in crate::server) async fn check(
        &self,
        passwords: &Passwords,
        account: &str,
        address: Subnet,
        shown: (Password, Option<&str>),
    ) -> Result<Checked, NotChecked> {
        // Whoever has had too many waits for nothing.
        self.may(account, address).map_err(NotChecked::TooMany)?;
        let turn = passwords.turn(address).await.map_err(NotChecked::Busy)?;
        self.begin(account, address).map_err(NotChecked::TooMany)?;
        let (password, hash) = shown;
        let checked = passwords.check(turn, password, hash).await;
        match checked {
            Ok(Checked { is_right: true, .. }) => self.succeeded(account, address),
            Ok(_) => {}
            Err(_) => self.give_back(account, address),
        }
        checked.map_err(NotChecked::Busy)
    }

    /// Whether somebody at this address may try to sign in by this handle.
    fn may(&self, account: &str, address: Subnet) -> Result<(), Duration> {
        self.addresses.may(&address)?;
        let account = account.to_owned();
        self.right.may(&account)?;
        if self.known.lock().contains_key(&(account.clone(), address)) {
            return Ok(());
        }
        self.accounts.may(&account)
    }

    /// The same, and counts what is shown as wrong.
    fn begin(&self, account: &str, address: Subnet) -> Result<(), Duration> {
        self.may(account, address)?;
        self.addresses.count(address);
        self.accounts.count(account.to_owned());
        Ok(())
    }

    fn give_back(&self, account: &str, address: Subnet) {
        self.addresses.give_back(&address);
        self.accounts.give_back(&account.to_owned());
    }

    /// Somebody at this address tries a code of this account; it counts as wrong.
    ///
    /// # Errors
    /// Too many were wrong; how long until the next may be tried.
    pub(in crate::server) fn begin_code(&self, account: &str, address: Subnet) -> Result<(), Duration> {
        self.addresses.may(&address)?;
        self.codes.take(account.to_owned())?;
        self.addresses.count(address);
        Ok(())
    }

    /// It was right, or could not be looked at.
    pub(in crate::server) fn give_back_code(&self, account: &str, address: Subnet) {
        self.addresses.give_back(&address);
        self.codes.give_back(&account.to_owned());
    }

    /// It was right: its owner is there.
    fn succeeded(&self, account: &str, address: Subnet) {
        self.give_back(account, address);
        self.right.count(account.to_owned());
        self.is_known(account, address);
    }

    /// The owner of an account is at this address.
    pub(in crate::server) fn is_known(&self, account: &str, address: Subnet) {
        let mut known = self.known.lock();
        let key = (account.to_owned(), address);
        if known.len() >= KNOWN && !known.contains_key(&key) {
            keep_greater_half(&mut known, |since| *since);
        }
        known.insert(key, Instant::now());
    }

    /// Whether another account may be made from this address; counts it.
    ///
    /// # Errors
    /// There were too many; how long until there may be one.
    pub(in crate::server) fn sign_up(&self, address: Subnet) -> Result<(), Duration> {
        self.sign_ups.take(address)
    }

    /// Whether an account may change how others see it; counts it.
    ///
    /// # Errors
    /// It has done so too often; how long until it may.
    pub(in crate::server) fn change_profile(&self, account: &str) -> Result<(), Duration> {
        self.profiles.take(account.to_owned())
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
            assert!(attempts.begin(&format!("name {n}"), address(1)).is_ok());
        }
        assert!(attempts.begin("ann", address(1)).is_err_and(|wait| wait <= WITHIN));
        assert!(attempts.may("ann", address(2)).is_ok());
        tokio::time::advance(WITHIN).await;
        assert!(attempts.begin("ann", address(1)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_do_not_guess_and_do_not_lock_the_owner_out() {
        let attempts = Attempts::default();
        attempts.is_known("ann", address(0));
        let tried = (1..=100).filter(|n| attempts.begin("ann", address(*n)).is_ok()).count();
        assert_eq!(tried, usize::try_from(OF_ACCOUNT).unwrap());
        assert!(attempts.may("ann", address(101)).is_err());
        assert!(attempts.may("ann", address(0)).is_ok(), "she is known there");
        assert!(attempts.may("bob", address(101)).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn right_ones_take_nothing_of_the_wrong_ones_and_have_a_bound_of_their_own() {
        let attempts = Attempts::default();
        for n in 0..RIGHT {
            assert!(attempts.begin("ann", address(1)).is_ok(), "{n}");
            attempts.succeeded("ann", address(1));
        }
        assert!(attempts.begin("ann", address(1)).is_err_and(|wait| wait <= WITHIN), "they cost as much");
        assert!(attempts.begin("bob", address(1)).is_ok());
        tokio::time::advance(WITHIN).await;
        assert!(attempts.begin("ann", address(1)).is_ok());
    }

    #[tokio::test]
    async fn where_people_are_known_is_bounded_and_the_last_stay() {
        let attempts = Attempts::default();
        for n in 0..3 * KNOWN {
            attempts.is_known(&n.to_string(), address(1));
        }
        let known = attempts.known.lock();
        assert!(known.len() <= KNOWN && known.contains_key(&((3 * KNOWN - 1).to_string(), address(1))));
    }
}
