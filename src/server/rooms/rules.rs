//! Which rule of the settings is a room's own, and which of a store's rooms somebody may enter.

use std::sync::Arc;

use super::{
    owned::{Act, Registry, Seen, Standing, may},
    reader::Reader,
};

use crate::{
    server::{
        settings::{History, RoomRule},
        store::Within,
    },
    wire::Group,
};

/// The first rule that matches.
pub(super) fn rule<'r>(rules: &'r [RoomRule], group: &Group) -> Option<&'r RoomRule> {
    rules.iter().find(|rule| rule.matches.matches(group.as_str()))
}

/// The rooms that a reader may enter and that keep their messages in this way: what they search and see in the list. None where the
/// rules have no such room.
pub(super) fn within(rules: &Arc<[RoomRule]>, registry: &Arc<Registry>, reader: &Reader, history: History) -> Option<Within> {
    let open = |rule: &RoomRule| may_read(reader, rule, history, None);
    if registry.are_all_open() {
        if !rules.iter().any(open) {
            return None;
        }
        // The first rule that matches decides, so those after one that matches everything do not count.
        let last = rules.iter().position(|rule| rule.matches.matches_everything());
        if last.is_some_and(|last| rules[..=last].iter().all(open)) {
            return Some(Within::Everything);
        }
    } else if !rules.iter().any(|rule| rule.history == history) {
        return None;
    }
    let (rules, registry, reader) = (Arc::clone(rules), Arc::clone(registry), reader.clone());
    let may_enter =
        move |group: &Group| rule(&rules, group).is_some_and(|rule| may_read(&reader, rule, history, Some((group, &registry))));
    Some(Within::Rooms(Arc::new(may_enter)))
}

/// Whether a reader may enter a room with this rule, which may be one that somebody owns, and that keeps its messages so.
fn may_read(reader: &Reader, rule: &RoomRule, history: History, room: Option<(&Group, &Registry)>) -> bool {
    let brief = room.and_then(|(group, registry)| registry.brief(group));
    let standing = room.map_or_else(Standing::default, |(group, _)| reader.standing(group));
    let seen = Seen { read_only: false, guests: rule.guests, brief, standing, kind: reader.kind };
    rule.history == history && may(&seen, Act::Read, reader.now).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::Pattern;

    fn of_guests(rules: &[RoomRule]) -> Option<Within> {
        within(&rules.into(), &Registry::none(), &Reader::guest(), History::Store)
    }

    #[test]
    fn only_open_rooms_that_are_kept_are_searched() {
        let rule = |pattern: &str, history, guests| RoomRule {
            matches: Pattern::for_rooms(pattern).unwrap(),
            history,
            guests,
            ..RoomRule::default()
        };
        let (store, memory) = (History::Store, History::Memory);
        for rules in [
            vec![],
            vec![rule("*", store, false)],
            vec![rule("*", memory, true)],
            vec![rule("a", store, false), rule("*", memory, true)],
        ] {
            assert!(of_guests(&rules).is_none(), "{rules:?}");
        }
        for rules in
            [vec![rule("*", store, true)], vec![rule("a", store, true), rule("**", store, true), rule("b", store, false)]]
        {
            assert!(matches!(of_guests(&rules), Some(Within::Everything)), "{rules:?}");
        }
        for (rules, open) in [
            (vec![rule("a*", store, true)], vec!["a", "ab"]),
            (vec![rule("ab", store, false), rule("*", store, true)], vec!["a", "b"]),
            (vec![rule("ab", memory, true), rule("a*", store, true), rule("*", store, false)], vec!["a"]),
            (vec![rule("*", store, false), rule("a", store, true)], vec![]),
        ] {
            let Some(Within::Rooms(allowed)) = of_guests(&rules) else { panic!("some rooms: {rules:?}") };
            let found: Vec<_> = ["a", "ab", "b"].into_iter().filter(|name| allowed(&name.parse().unwrap())).collect();
            assert_eq!(found, open, "{rules:?}");
        }
    }
}
