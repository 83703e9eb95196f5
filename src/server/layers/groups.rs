//! Who in this process is a member of which group, and until when; the backends that keep this themselves share it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{Channel, GroupName, LONGEST_TIME};

pub(super) struct Groups {
    expiry: Duration,
    /// None is empty.
    by_name: HashMap<GroupName, Group>,
    /// Every membership by its end, the next one first.
    due: BTreeSet<(Instant, GroupName, Channel)>,
}

#[derive(Default)]
struct Group {
    /// With the end of the membership.
    members: BTreeMap<Channel, Instant>,
    /// The names of all members, until one comes or goes.
    list: Option<Arc<[Channel]>>,
}

impl Groups {
    pub(super) fn new(expiry: Duration) -> Self {
        Self { expiry: expiry.min(LONGEST_TIME), by_name: HashMap::new(), due: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, group: &GroupName, channel: &Channel) {
        let now = self.expire();
        let end = now + self.expiry;
        let entry = self.by_name.entry(group.clone()).or_default();
        match entry.members.insert(channel.clone(), end) {
            Some(earlier) => {
                self.due.remove(&(earlier, group.clone(), channel.clone()));
            }
            None => entry.list = None,
        }
        self.due.insert((end, group.clone(), channel.clone()));
    }

    pub(super) fn discard(&mut self, group: &GroupName, channel: &Channel) {
        self.expire();
        if let Some(end) = self.remove(group, channel) {
            self.due.remove(&(end, group.clone(), channel.clone()));
        }
    }

    /// Ends all memberships of channels with this non-local part and returns the groups that have no member any more. Looks at
    /// every membership there is: not for every day.
    pub(super) fn discard_process(&mut self, non_local: &str) -> Vec<GroupName> {
        self.expire();
        let gone: Vec<_> = self.due.extract_if(.., |(_, _, channel)| channel.non_local() == non_local).collect();
        let mut empty = Vec::new();
        for (_, group, channel) in gone {
            self.remove(&group, &channel);
            if !self.by_name.contains_key(&group) {
                empty.push(group);
            }
        }
        empty
    }

    /// The members in the order of their names.
    pub(super) fn members(&mut self, group: &GroupName) -> Arc<[Channel]> {
        self.expire();
        let Some(group) = self.by_name.get_mut(group) else { return Arc::default() };
        Arc::clone(group.list.get_or_insert_with(|| group.members.keys().cloned().collect()))
    }

    /// Ends all memberships and returns the groups that had any.
    pub(super) fn clear(&mut self) -> Vec<GroupName> {
        self.due.clear();
        self.by_name.drain().map(|(group, _)| group).collect()
    }

    /// Ends the memberships that are due, and returns the present.
    fn expire(&mut self) -> Instant {
        let now = Instant::now();
        while self.due.first().is_some_and(|(end, ..)| *end <= now) {
            if let Some((_, group, channel)) = self.due.pop_first() {
                self.remove(&group, &channel);
            }
        }
        now
    }

    /// Takes `channel` out of `group`, if it is in it; returns when the membership would have ended.
    fn remove(&mut self, group: &GroupName, channel: &Channel) -> Option<Instant> {
        let entry = self.by_name.get_mut(group)?;
        let end = entry.members.remove(channel)?;
        entry.list = None;
        if entry.members.is_empty() {
            self.by_name.remove(group);
        }
        Some(end)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.due.is_empty()
    }
}
