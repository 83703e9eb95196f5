//! A table of a list, such as one `[[rooms]]`. Which keys it has follows from what is asked for.

use super::{mistakes::Mistakes, values::Node};

/// A table that is being read, and what was wrong with it so far.
pub(super) struct Table<'n> {
    node: &'n Node,
    fields: &'n [(String, Node)],
    asked: Vec<&'static str>,
    /// With the place of the key in the table, since the keys may stand in any order.
    mistakes: Vec<(usize, Mistakes)>,
}

impl<'n> Table<'n> {
    /// `needed` says what a table is like.
    pub(super) fn of(node: &'n Node, needed: &str) -> Result<Self, Mistakes> {
        Ok(Self { node, fields: node.fields(needed)?, asked: Vec::new(), mistakes: Vec::new() })
    }

    /// What is read of a key; none where it is not there, or wrong.
    pub(super) fn read<T>(&mut self, key: &'static str, read: impl FnOnce(&'n Node) -> Result<T, Mistakes>) -> Option<T> {
        self.asked.push(key);
        let at = self.fields.iter().position(|(name, _)| name == key)?;
        read(&self.fields[at].1).map_err(|mistakes| self.mistakes.push((at, mistakes))).ok()
    }

    /// The same of one that has to be there; `missing` is said where it is not, to be read after the table's name.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        missing: &str,
        read: impl FnOnce(&'n Node) -> Result<T, Mistakes>,
    ) -> Option<T> {
        if !self.has(key) {
            self.wrong(missing);
        }
        self.read(key, read)
    }

    /// Whether a key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }

    /// Something is wrong with the whole of it.
    pub(super) fn wrong(&mut self, says: &str) {
        self.mistakes.push((self.fields.len(), self.node.mistake(says)));
    }

    /// What was made of it, which is none only where something is wrong; or all mistakes, and what nothing has asked for.
    pub(super) fn end<T>(self, made: Option<T>) -> Result<T, Mistakes> {
        let Self { node, fields, asked, mut mistakes } = self;
        for (at, (name, field)) in fields.iter().enumerate() {
            if !asked.contains(&name.as_str()) {
                let siblings: Vec<_> = asked.iter().map(|key| format!("{}.{key}", node.path)).collect();
                mistakes.push((at, field.unknown(&node.path, &asked, siblings.iter().map(String::as_str))));
            }
        }
        mistakes.sort_by_key(|(at, _)| *at);
        let mut all = Mistakes::default();
        for (_, mistakes) in mistakes {
            all.add(mistakes);
        }
        match made {
            Some(made) => all.or(made),
            None => Err(all),
        }
    }
}

/// The tables of a list, of which no two are the `same`; where two are, `says` is said at the second, with the places of both in the list.
pub(super) fn distinct<T>(
    node: &Node,
    needed: &str,
    read: impl Fn(&Node) -> Result<T, Mistakes>,
    same: impl Fn(&T, &T) -> bool,
    says: impl Fn(usize, usize) -> String,
) -> Result<Vec<T>, Mistakes> {
    let tables = node.list(needed, |item| Ok((item.place.clone(), read(item)?)))?;
    for (at, (place, table)) in tables.iter().enumerate() {
        if let Some(before) = tables[..at].iter().position(|(_, other)| same(other, table)) {
            return Err(super::Mistake { place: place.clone(), says: says(at, before) }.into());
        }
    }
    Ok(tables.into_iter().map(|(_, table)| table).collect())
}
