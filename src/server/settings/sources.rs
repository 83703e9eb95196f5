//! From the sources to the settings.

use std::{collections::BTreeMap, ffi::OsString, io, path::Path, sync::Arc};

use super::{
    Settings, django,
    keys::{Form, Key, keys, known_keys, names_in, sections},
    mistakes::{Mistake, Mistakes, Place, nearest},
    values::{Node, Raw},
};

/// The file that is read if it is in the working folder and no other is given.
const DEFAULT_FILE: &str = "Leptos.toml";

/// What the name of every environment variable of ours begins with.
const PREFIX: &str = "CONFAB_";

/// Has the token of `confab send`: a secret of whoever sends, not a setting of the server.
pub const TOKEN_VARIABLE: &str = "CONFAB_TOKEN";
/// Say which lines of the log are written and how: they hold before any setting is read.
pub const LOG_VARIABLE: &str = "CONFAB_LOG";
pub const LOG_FORMAT_VARIABLE: &str = "CONFAB_LOG_FORMAT";

/// The variables of ours that set no key.
const OTHERS: [&str; 3] = [TOKEN_VARIABLE, LOG_VARIABLE, LOG_FORMAT_VARIABLE];

/// A file of settings that has been read.
pub struct ConfigFile {
    /// How messages name it.
    pub name: String,
    pub content: Vec<u8>,
}

impl ConfigFile {
    /// Reads the file given with `--config` or, without one, `Leptos.toml` in the working folder, which may be missing.
    ///
    /// # Errors
    /// The file cannot be read, or the given one is missing.
    pub fn find(given: Option<&Path>) -> Result<Option<Self>, Mistakes> {
        let path = given.unwrap_or(Path::new(DEFAULT_FILE));
        let name = path.display().to_string();
        match std::fs::read(path) {
            Ok(content) => Ok(Some(Self { name, content })),
            Err(error) if given.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Mistake { place: Place::File(name.into()), says: format!("cannot be read: {error}") }.into()),
        }
    }
}

/// A setting from the command line.
pub struct Flag {
    /// With its dashes.
    pub name: &'static str,
    /// The key that it sets, which takes a text.
    pub key: &'static str,
    pub value: String,
}

/// Everything besides the defaults, each over the one before.
#[derive(Default)]
pub struct Sources {
    pub file: Option<ConfigFile>,
    /// All variables; only those that begin with `CONFAB_` are looked at. A variable may set a whole section as JSON; one
    /// for a single key of the section goes over it.
    pub environment: Vec<(OsString, OsString)>,
    pub flags: Vec<Flag>,
}

impl Sources {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// All mistakes, those of the file first.
    pub fn load(self) -> Result<Loaded, Mistakes> {
        let mut draft = Draft::default();
        if let Some(file) = &self.file {
            draft.file(file);
        }
        draft.environment(self.environment);
        for Flag { name, key, value } in self.flags {
            draft.apply(&Node { path: key.to_owned(), place: Place::Flag(name), raw: Raw::Text(value) });
        }
        let loaded = draft.mistakes.or(draft.loaded)?;
        django::check(&loaded.settings, |key| loaded.origin(key).cloned()).or(loaded)
    }
}

/// Settings without mistakes, and where they come from.
#[derive(Debug, Default)]
pub struct Loaded {
    pub settings: Settings,
    origins: BTreeMap<&'static str, Place>,
}

impl Loaded {
    /// Where a key was set last; `None` if it was not.
    pub fn origin(&self, key: &str) -> Option<&Place> {
        self.origins.get(key)
    }
}

/// Settings in the making.
#[derive(Default)]
struct Draft {
    loaded: Loaded,
    mistakes: Mistakes,
}

impl Draft {
    fn file(&mut self, file: &ConfigFile) {
        let name: Arc<str> = file.name.as_str().into();
        let tree = match str::from_utf8(&file.content) {
            Ok(text) => Node::from_toml(&name, text),
            Err(error) => {
                let place = Place::in_file(&name, &file.content, error.valid_up_to());
                Err(Mistake { place, says: "this is not UTF-8".to_owned() }.into())
            }
        };
        if let Some(tree) = self.mistakes.keep(tree) {
            self.apply(&tree);
        }
    }

    fn environment(&mut self, variables: Vec<(OsString, OsString)>) {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.to_string_lossy().into_owned();
            (name.starts_with(PREFIX) && !OTHERS.contains(&name.as_str())).then_some((name, value))
        };
        let mut variables: Vec<_> = variables.into_iter().filter_map(ours).collect();
        // Sorted, a section comes before its keys.
        variables.sort();
        for (name, value) in variables {
            if let Some(node) = self.mistakes.keep(variable(&name, value)) {
                self.apply(&node);
            }
        }
    }

    /// Sets a key, or everything in a section.
    fn apply(&mut self, node: &Node) {
        if let Some(key) = keys().find(|key| key.path == node.path) {
            if self.mistakes.keep((key.set)(&mut self.loaded.settings, node)).is_some() {
                self.loaded.origins.insert(key.path, node.place.clone());
            }
        } else if let Some(fields) = self.mistakes.keep(node.fields("a table")) {
            for (_, field) in fields {
                if is_known(&field.path) {
                    self.apply(field);
                } else {
                    let known = sections().into_iter().chain(known_keys());
                    self.mistakes.add(field.unknown(&node.path, &names_in(&node.path), known));
                }
            }
        }
    }
}

fn is_known(path: &str) -> bool {
    sections().into_iter().chain(known_keys()).any(|known| known == path)
}

/// The value of an environment variable.
fn variable(name: &str, value: OsString) -> Result<Node, Mistakes> {
    let place = Place::Variable(name.into());
    let wrong = |says: String| Mistakes::from(Mistake { place: place.clone(), says });
    let Some((path, form)) = meaning(name) else { return Err(wrong(unknown_variable(name))) };
    let value = value.into_string().map_err(|_| wrong(format!("{path} is not UTF-8")))?;
    let raw = match form {
        Form::Text => Raw::Text(value),
        Form::Whole => value.trim().parse().map_or(Raw::Text(value), Raw::Whole),
        Form::Truth => value.trim().parse().map_or(Raw::Text(value), Raw::Truth),
        Form::Json => {
            let json = serde_json::from_str(&value).map_err(|error| {
                wrong(format!(r#"{path} is not JSON: {error}; a list is written ["a", "b"], a table {{"name": "value"}}"#))
            })?;
            return Ok(Node::from_json(path.to_owned(), &place, json));
        }
    };
    Ok(Node { path: path.to_owned(), place, raw })
}

/// The key or section that a variable sets, and how its value is written.
fn meaning(name: &str) -> Option<(&'static str, Form)> {
    let single = keys().map(|Key { path, form, .. }| (*path, *form));
    let sections = sections().into_iter().map(|section| (section, Form::Json));
    single.chain(sections).find(|(path, _)| variable_for(path) == name)
}

fn variable_for(path: &str) -> String {
    format!("{PREFIX}{}", path.to_ascii_uppercase().replace('.', "__"))
}

fn unknown_variable(name: &str) -> String {
    let path = name[PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
    let others = OTHERS.map(|other| other[PREFIX.len()..].to_ascii_lowercase());
    let known: Vec<String> = sections().into_iter().chain(known_keys()).map(str::to_owned).chain(others).collect();
    match nearest(&path, known.iter().map(String::as_str)) {
        Some(meant) => format!("this is not a setting; did you mean {}?", variable_for(meant)),
        None => format!(
            "this is not a setting; the variable of a key is {PREFIX} and the key in capitals with two underscores for the dot, like {}",
            variable_for("server.listen")
        ),
    }
}
