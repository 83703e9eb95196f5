//! The map of the source in the README names every part of the server.

use std::{fs, path::Path};

#[test]
fn every_part_of_the_server_stands_in_the_map() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace");
    let readme = fs::read_to_string(root.join("README.md")).expect("the README");
    let map = readme.split("```").find(|block| block.contains("routing.rs   ")).expect("a map");
    let named: Vec<&str> = map.split(|sign: char| sign.is_whitespace() || ",:;".contains(sign)).collect();
    let parts = fs::read_dir(root.join("src/server")).expect("the server").map(|entry| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        if entry.path().is_dir() { name + "/" } else { name }
    });
    let missing: Vec<_> = parts.filter(|part| part != "mod.rs" && !named.contains(&part.as_str())).collect();
    assert!(missing.is_empty(), "the map in the README does not name {missing:?}");
    let folders = ["", "src", "src/server", "src/server/store"].map(|folder| root.join(folder));
    let files: Vec<_> = named
        .into_iter()
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "rs") || name.ends_with('/'))
        .collect();
    let is_there = |name: &str| folders.iter().any(|folder| folder.join(name).exists());
    let gone: Vec<_> = files.iter().filter(|name| !is_there(name)).collect();
    assert!(files.len() > 40 && gone.is_empty(), "the map names {gone:?}, which are not there");
}
