//! What the rules of the settings say of a room: which rule is its own, and which of a store's rooms guests may enter.

use std::sync::Arc;

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

/// The rooms that guests may enter and that keep their messages in this way: what they search and see in the list. None where the
/// rules have no such room.
pub(super) fn within(rules: &Arc<[RoomRule]>, history: History) -> Option<Within> {
    let open = move |rule: &RoomRule| rule.guests && rule.history == history;
    if !rules.iter().any(open) {
        return None;
    }
    // The first rule that matches decides, so those after one that matches everything do not count.
    let last = rules.iter().position(|rule| rule.matches.matches_everything());
    if last.is_some_and(|last| rules[..=last].iter().all(open)) {
        return Some(Within::Everything);
    }
    let rules = Arc::clone(rules);
    Some(Within::Rooms(Arc::new(move |group| rule(&rules, group).is_some_and(open))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::Pattern;

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
            assert!(within(&rules.clone().into(), History::Store).is_none(), "{rules:?}");
        }
        for rules in
            [vec![rule("*", store, true)], vec![rule("a", store, true), rule("**", store, true), rule("b", store, false)]]
        {
            assert!(matches!(within(&rules.clone().into(), History::Store), Some(Within::Everything)), "{rules:?}");
        }
        for (rules, open) in [
            (vec![rule("a*", store, true)], vec!["a", "ab"]),
            (vec![rule("ab", store, false), rule("*", store, true)], vec!["a", "b"]),
            (vec![rule("ab", memory, true), rule("a*", store, true), rule("*", store, false)], vec!["a"]),
            (vec![rule("*", store, false), rule("a", store, true)], vec![]),
        ] {
            let Some(Within::Rooms(allowed)) = within(&rules.clone().into(), History::Store) else {
                panic!("some rooms: {rules:?}")
            };
            let found: Vec<_> = ["a", "ab", "b"].into_iter().filter(|name| allowed(&name.parse().unwrap())).collect();
            assert_eq!(found, open, "{rules:?}");
        }
    }
}
