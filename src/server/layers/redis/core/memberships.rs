//! The groups that channels of this process are in, so that nothing depends on what Redis remembers of them.
//!
//! Redis may lose a group without the connection breaking: `FLUSHDB` by a program whose cache is in the same database, an evicted
//! key, another process's `flush`. The outbox sends to these channels whether or not Redis names them, and the [reminder](super::reminder)
//! tells Redis again what it has forgotten.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Bound,
    time::Duration,
};

use tokio::time::Instant;

use crate::server::layers::{Channel, GroupName, LONGEST_TIME};

/// See the module.
pub(super) struct Memberships {
    expiry: Duration,
    /// None of the groups is empty.
    groups: BTreeMap<GroupName, BTreeMap<Channel, Membership>>,
}

#[derive(Clone, Copy)]
struct Membership {
    since: Instant,
    /// Redis has said that it knows.
    confirmed: bool,
}

/// A channel in a group, as it is at some moment.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) group: GroupName,
    pub(super) channel: Channel,
    /// Since the membership was made, or made anew.
    pub(super) age: Duration,
    /// Redis has said that it knows. Where it does not, it has forgotten.
    pub(super) confirmed: bool,
}

impl Memberships {
    /// A membership ends `expiry` after it was made, or made anew.
    pub(super) fn new(expiry: Duration) -> Self {
        Self { expiry: expiry.min(LONGEST_TIME), groups: BTreeMap::new() }
    }

    /// Makes a membership, or begins its time anew.
    pub(super) fn add(&mut self, group: &GroupName, channel: &Channel) {
        let fresh = Membership { since: Instant::now(), confirmed: false };
        let members = self.groups.entry(group.clone()).or_default();
        members.entry(channel.clone()).and_modify(|membership| membership.since = fresh.since).or_insert(fresh);
    }

    /// Redis knows of it, if it is still there.
    pub(super) fn confirm(&mut self, group: &GroupName, channel: &Channel) {
        if let Some(membership) = self.groups.get_mut(group).and_then(|members| members.get_mut(channel)) {
            membership.confirmed = true;
        }
    }

    pub(super) fn discard(&mut self, group: &GroupName, channel: &Channel) {
        if let Entry::Occupied(mut members) = self.groups.entry(group.clone()) {
            members.get_mut().remove(channel);
            if members.get().is_empty() {
                members.remove();
            }
        }
    }

    /// Ends all memberships of channels with this non-local part; gives them.
    pub(super) fn discard_process(&mut self, non_local: &str) -> Vec<(GroupName, Vec<Channel>)> {
        let is_behind = |channel: &Channel, _: &mut Membership| channel.non_local() == non_local;
        let gone = self.groups.iter_mut().map(|(group, members)| {
            let channels = members.extract_if(.., is_behind).map(|(channel, _)| channel);
            (group.clone(), channels.collect::<Vec<_>>())
        });
        let gone = gone.filter(|(_, channels)| !channels.is_empty()).collect();
        self.groups.retain(|_, members| !members.is_empty());
        gone
    }

    pub(super) fn clear(&mut self) {
        self.groups.clear();
    }

    pub(super) fn contains(&self, group: &GroupName, channel: &Channel) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains_key(channel))
    }

    /// The members of a group.
    pub(super) fn of(&self, group: &GroupName) -> Vec<Member> {
        let Some((group, members)) = self.groups.get_key_value(group) else { return Vec::new() };
        self.lasting(group, members).collect()
    }

    /// The memberships of some groups, those that follow on `after` and that `wanted` names, until there are at least `count`; and the
    /// group at which to go on, if there is one. Those whose time is over end here.
    pub(super) fn batch(
        &mut self,
        after: Option<&GroupName>,
        count: usize,
        wanted: impl Fn(&GroupName) -> bool,
    ) -> (Vec<Member>, Option<GroupName>) {
        let mut batch = Vec::with_capacity(count);
        let (mut next, mut over) = (None, Vec::new());
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (group, members) in self.groups.range::<GroupName, _>((from, Bound::Unbounded)) {
            if batch.len() >= count {
                break;
            }
            next = Some(group.clone());
            if wanted(group) {
                batch.extend(self.lasting(group, members));
                over.extend(
                    members
                        .iter()
                        .filter(|(_, it)| it.since.elapsed() >= self.expiry)
                        .map(|(channel, _)| (group.clone(), channel.clone())),
                );
            }
        }
        for (group, channel) in over {
            self.discard(&group, &channel);
        }
        let is_last = next == self.groups.last_key_value().map(|(group, _)| group.clone());
        (batch, next.filter(|_| !is_last))
    }

    fn lasting<'a>(
        &self,
        group: &'a GroupName,
        members: &'a BTreeMap<Channel, Membership>,
    ) -> impl Iterator<Item = Member> + use<'a> {
        let expiry = self.expiry;
        members.iter().filter_map(move |(channel, Membership { since, confirmed })| {
            let age = since.elapsed();
            let (group, channel) = (group.clone(), channel.clone());
            (age < expiry).then_some(Member { group, channel, age, confirmed: *confirmed })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> T {
        name.parse().unwrap()
    }

    fn names(members: &[Member]) -> Vec<String> {
        members.iter().map(|member| format!("{} {} {}", member.group, member.channel, member.confirmed)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_membership_is_there_until_it_is_over_or_ended() {
        let mut all = Memberships::new(Duration::from_secs(10));
        let (group, one, other): (GroupName, Channel, Channel) = (name("g"), name("p!1"), name("p!2"));
        all.add(&group, &one);
        all.add(&group, &other);
        all.confirm(&group, &other);
        assert_eq!(names(&all.of(&group)), ["g p!1 false", "g p!2 true"]);
        tokio::time::advance(Duration::from_secs(6)).await;
        all.add(&group, &other);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(names(&all.of(&group)), ["g p!2 true"]);
        assert_eq!(all.of(&group)[0].age, Duration::from_secs(6));
        assert!(all.contains(&group, &one), "nobody has looked");
        all.batch(None, 10, |_| true);
        assert!(!all.contains(&group, &one));
        all.discard(&group, &other);
        assert!(all.of(&group).is_empty() && all.groups.is_empty());
    }

    #[test]
    fn batches_come_to_all_of_them_once() {
        let mut all = Memberships::new(Duration::MAX);
        for n in 0..10 {
            all.add(&name(&format!("g{n}")), &name("p!1"));
            all.add(&name(&format!("g{n}")), &name("q!1"));
        }
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (batch, next) = all.batch(after.as_ref(), 3, |group| group.as_str() != "g5");
            seen.extend(names(&batch));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 18);
        seen.dedup();
        assert_eq!(seen.len(), 18);
        assert_eq!(all.discard_process("p!").len(), 10);
        assert_eq!(names(&all.of(&name("g5"))), ["g5 q!1 false"]);
        assert_eq!(all.discard_process("q!").len(), 10);
        assert!(all.groups.is_empty());
    }
}
