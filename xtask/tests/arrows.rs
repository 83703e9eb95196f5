//! Who may know whom in `src`: no file and no folder knows one that knows it, however far around, and they know each other downwards only.
//!
//! Each file is read with `syn`: what it uses by `use` or by a path that begins with `crate`, `self`, `super` or a module of its own
//! is followed to the file that defines it, through re-exports. A re-export by itself is no knowledge: a `mod.rs` that hands
//! on what its parts define does not depend on them. Nor is it one when a part uses what the module around it has.
//! Tests inside the files are left out, and so are macros' arguments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Attribute, Item, UseTree, Visibility,
    visit::{self, Visit},
};

/// The floors of the house, from the top: a folder or file may know those on floors below its own, and those beside it on its own floor
/// as long as there is no circle. The longest beginning of a path counts.
const FLOORS: &[&[&str]] = &[
    &["main", "lib"],
    &["server/cli", "server"],
    &["server/routing", "server/layer", "server/storage"],
    &["server/pages", "server/api", "server/operators"],
    &["server/who"],
    &["server/services", "server/http"],
    &["server/transports"],
    &["server/session"],
    &["server/scope"],
    &["server/topics", "server/departures"],
    &["server/rooms", "server/personal"],
    &["server/noun"],
    &["server/hub"],
    &["server/accounts/elsewhere", "server/manage"],
    &["server/accounts/directory"],
    &["server/problem", "server/lease", "server/accounts/records", "server/accounts/second_factor", "server/audit"],
    &["server/presence", "server/store", "server/allowance"],
    &["server/search", "server/quota", "server/room_pages"],
    &[
        "server/layers",
        "server/telemetry",
        "server/profiles",
        "server/accounts",
        "server/visitors",
        "server/origins",
        "browser",
    ],
    &["server/settings"],
    &[
        "server/websocket",
        "server/banner",
        "server/language",
        "server/bucket",
        "server/counts",
        "server/limits",
        "server/assets",
        "server/causes",
        "server/glob",
        "server/gzip",
        "server/percent",
        "server/postgres_url",
        "server/random",
        "server/request_cookies",
        "server/steady_clock",
        "server/stream",
        "server/turns",
        "app",
    ],
    &["locales"],
    &["wire"],
];

/// A module's path below the crate, such as `["server", "store"]`.
type ModulePath = Vec<String>;

/// A module that has a file of its own, or stands in one.
#[derive(Default)]
struct Module {
    file: PathBuf,
    /// What it hands on or uses under a name: the name, and the path that it stands for.
    names: BTreeMap<String, Vec<String>>,
    /// What it uses whole, `use x::*`.
    globs: Vec<Vec<String>>,
    /// The paths that its code knows.
    known: Vec<Vec<String>>,
}

struct House {
    modules: BTreeMap<ModulePath, Module>,
}

impl House {
    fn read(root: &Path) -> Self {
        let mut house = Self { modules: BTreeMap::new() };
        house.read_file(root, &root.join("lib.rs"), Vec::new());
        house
    }

    fn read_file(&mut self, root: &Path, file: &Path, path: ModulePath) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.read_items(root, file, path, &parsed.items);
    }

    fn read_items(&mut self, root: &Path, file: &Path, path: ModulePath, items: &[Item]) {
        let mut module = Module { file: file.strip_prefix(root).expect("below the root").to_owned(), ..Module::default() };
        let mut parts = Vec::new();
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Use(item) => {
                    let handed_on = !matches!(item.vis, Visibility::Inherited);
                    read_use(&mut module, &item.tree, &mut Vec::new(), handed_on);
                }
                Item::Mod(part) => parts.push(part),
                other => Paths(&mut module.known).visit_item(other),
            }
        }
        self.modules.insert(path.clone(), module);
        for part in parts {
            let name = part.ident.to_string();
            let below = [path.clone(), vec![name.clone()]].concat();
            if let Some((_, items)) = &part.content {
                self.read_items(root, file, below, items);
                continue;
            }
            let folder = below[..below.len() - 1].iter().fold(root.to_owned(), |folder, name| folder.join(name));
            let beside = folder.join(&name).with_extension("rs");
            let within = folder.join(&name).join("mod.rs");
            self.read_file(root, if beside.exists() { &beside } else { &within }, below);
        }
    }

    /// The file that defines what a path in `module` names, where it is of this crate.
    fn definer(&self, module: &ModulePath, path: &[String], depth: usize) -> Option<&Path> {
        let mut here = module.clone();
        let mut words = path.iter();
        let mut first = true;
        loop {
            let Some(word) = words.next() else { return Some(&self.modules.get(&here)?.file) };
            match word.as_str() {
                "crate" => here = Vec::new(),
                "self" => {}
                "super" => _ = here.pop()?,
                name => {
                    let below = [here.clone(), vec![name.to_owned()]].concat();
                    if self.modules.contains_key(&below) {
                        here = below;
                    } else {
                        let rest = || words.clone().cloned().collect::<Vec<_>>();
                        let module = self.modules.get(&here)?;
                        if depth > 8 {
                            return None;
                        }
                        if let Some(stands_for) = module.names.get(name) {
                            return self.definer(&here, &[stands_for.clone(), rest()].concat(), depth + 1);
                        }
                        if first {
                            // Of another crate, or a variable.
                            return None;
                        }
                        let whole = |glob: &Vec<String>| {
                            let beyond = [glob.clone(), vec![name.to_owned()], rest()].concat();
                            self.definer(&here, &beyond, depth + 1).filter(|file| *file != module.file)
                        };
                        return module.globs.iter().find_map(whole).or(Some(&module.file));
                    }
                }
            }
            first = false;
        }
    }

    /// Which file knows which.
    fn arrows(&self) -> BTreeMap<&Path, BTreeSet<&Path>> {
        let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
        for (path, module) in &self.modules {
            let known = arrows.entry(&module.file).or_default();
            let files = module.known.iter().filter_map(|words| self.definer(path, words, 0));
            known.extend(files.filter(|file| *file != module.file && !is_part_of(&module.file, file)));
        }
        arrows
    }
}

/// Whether a file is a part of the module that another one opens: a part may use what the whole has for all of its parts. The crate and
/// the server as wholes have nothing for anybody.
fn is_part_of(part: &Path, whole: &Path) -> bool {
    let folder =
        if whole.ends_with("mod.rs") { whole.parent().expect("in a folder").to_owned() } else { whole.with_extension("") };
    part.starts_with(&folder) && folder != Path::new("server")
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, alone or with something else.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .meta
                .require_list()
                .is_ok_and(|list| list.tokens.to_string().split(|c: char| !c.is_alphanumeric()).any(|word| word == "test"))
    })
}

/// Notes what a `use` brings; what is handed on is only looked through, what is not is known.
fn read_use(module: &mut Module, tree: &UseTree, before: &mut Vec<String>, handed_on: bool) {
    let name = |module: &mut Module, name: String, path: Vec<String>| {
        if !handed_on {
            module.known.push(path.clone());
        }
        if name != "_" {
            module.names.insert(name, path);
        }
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            read_use(module, &path.tree, before, handed_on);
            before.pop();
        }
        UseTree::Name(leaf) if leaf.ident == "self" => {
            let last = before.last().cloned().unwrap_or_default();
            name(module, last, before.clone());
        }
        UseTree::Name(leaf) => name(module, leaf.ident.to_string(), [before.clone(), vec![leaf.ident.to_string()]].concat()),
        UseTree::Rename(leaf) => {
            let path =
                if leaf.ident == "self" { before.clone() } else { [before.clone(), vec![leaf.ident.to_string()]].concat() };
            name(module, leaf.rename.to_string(), path);
        }
        UseTree::Glob(_) => {
            if !handed_on {
                module.known.push(before.clone());
            }
            module.globs.push(before.clone());
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| read_use(module, tree, before, handed_on)),
    }
}

/// Gathers the paths of more than one word in code and types.
struct Paths<'m>(&'m mut Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths<'_> {
    /// To whom something is visible is no knowledge of them.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// Files that know each other around a circle, each circle once.
fn circles<'a>(arrows: &BTreeMap<&'a Path, BTreeSet<&'a Path>>) -> Vec<Vec<&'a Path>> {
    let reach = |from: &'a Path| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(file) = open.pop() {
            open.extend(arrows.get(file).into_iter().flatten().filter(|next| seen.insert(**next)).copied());
        }
        seen
    };
    let reached: BTreeMap<_, _> = arrows.keys().map(|file| (*file, reach(file))).collect();
    let mut circles = BTreeSet::new();
    for (file, all) in &reached {
        let circle: Vec<_> =
            all.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(file))).copied().collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

/// The floor of a file, counted from the top.
fn floor(file: &Path) -> Option<usize> {
    let module = file.with_extension("");
    let place = |folder: &str| module.starts_with(folder) && (folder != "server" || module == Path::new("server/mod"));
    let found = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, folders)| folders.iter().filter(|folder| place(folder)).map(move |folder| (folder.len(), floor)));
    found.max().map(|(_, floor)| floor)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace").join("src")
}

#[test]
fn no_two_files_know_each_other() {
    let house = House::read(&source());
    let arrows = house.arrows();
    assert!(arrows.len() > 100 && arrows.values().map(BTreeSet::len).sum::<usize>() > 300, "the source was not read");
    let mut text = String::new();
    for circle in circles(&arrows) {
        let _ = writeln!(text, "these files know each other:");
        for file in &circle {
            let known: Vec<_> = arrows[file].iter().filter(|known| circle.contains(known)).collect();
            let _ = writeln!(text, "  {} -> {known:?}", file.display());
        }
    }
    assert!(text.is_empty(), "{text}");
}

/// The folder of `src` or of the server in which a file stands, with the file beside it that opens it; a file alone is one itself.
fn folder(file: &Path) -> PathBuf {
    let depth = if file.starts_with("server") { 2 } else { 1 };
    file.with_extension("").components().take(depth).collect()
}

#[test]
fn no_two_folders_know_each_other() {
    let house = House::read(&source());
    let files = house.arrows();
    let folders: BTreeMap<&Path, PathBuf> = files.keys().map(|file| (*file, folder(file))).collect();
    let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (file, known) in &files {
        let here = folders[file].as_path();
        let others = known.iter().filter_map(|other| folders.get(other)).map(PathBuf::as_path);
        arrows.entry(here).or_default().extend(others.filter(|there| *there != here));
    }
    let mut text = String::new();
    for circle in circles(&arrows) {
        let _ = writeln!(text, "these folders know each other:");
        for (file, known) in &files {
            let beyond = |other: &&&Path| circle.contains(&folders[**other].as_path()) && folders[**other] != folders[file];
            for other in known.iter().filter(beyond).filter(|_| circle.contains(&folders[file].as_path())) {
                let _ = writeln!(text, "  {} -> {}", file.display(), other.display());
            }
        }
    }
    assert!(text.is_empty(), "{text}");
}

#[test]
fn no_arrow_runs_back_up() {
    let house = House::read(&source());
    let mut text = String::new();
    for (file, known) in house.arrows() {
        let Some(here) = floor(file) else {
            let _ = writeln!(text, "{} stands on no floor: name it in FLOORS", file.display());
            continue;
        };
        for other in known.into_iter().filter(|other| floor(other).is_some_and(|there| there < here)) {
            let _ = writeln!(text, "{} knows {}, which stands above it", file.display(), other.display());
        }
    }
    assert!(text.is_empty(), "{text}");
}
