//! The release build: first the site (WebAssembly, JavaScript, styles, public files, each precompressed) in `target/site`,
//! then the server, which takes the site into itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    Result,
    shell::{command, output, root, run, run_long, say, target_dir},
    tools,
};

/// Where cargo-leptos puts the site, whatever `CARGO_TARGET_DIR` says, and where `build.rs` of the server finds it.
const SITE: &str = "target/site";
/// The same while it is worked on.
const WATCHED_SITE: &str = "target/site-dev";
const COMPRESS: &str = "xtask/compress.mjs";
/// What every page loads besides its text,
const LOADED: [&str; 3] = ["pkg/confab.wasm", "pkg/confab.js", "pkg/confab.css"];
/// and how many bytes of it at most, in the form that browsers take. What they are made of stands in `docs/performance.md`.
const MOST_LOADED: u64 = 235_000;
/// Files and folders besides the Rust sources that the site is made of.
const SITE_INPUTS: [&str; 7] =
    ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "package-lock.json", "public", "style", COMPRESS];

/// How the server is optimised: as it is served and tested, or, which takes longer to build, as it is installed and measured.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    Release,
    Dist,
}

impl Profile {
    /// Of Cargo; the folder below the target folder has the same name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dist => "dist",
        }
    }
}

/// Builds the site, and `confab` with it inside: `target/release/confab` or `target/dist/confab`.
pub(crate) fn all(profile: Profile) -> Result {
    tools::for_build()?;
    site()?;
    server(profile)
}

/// Builds without optimisation, runs `confab serve ARGS`, and does both again whenever a file changes. What the site is made of stands in a
/// folder of its own, which the server reads (`src/server/assets/watched.rs`), so that the release keeps its own.
pub(crate) fn watch(args: &[&str]) -> Result {
    tools::for_build()?;
    let mut leptos = command("cargo");
    leptos.args(["leptos", "watch", "--", "serve"]).args(args);
    leptos.env("LEPTOS_SITE_ROOT", WATCHED_SITE).env("PATH", path_with_npm()?);
    let is_first = !root().join(WATCHED_SITE).exists();
    run(if is_first { "dev (the first build takes about 4 min on two cores)" } else { "dev" }, &mut leptos)
}

/// cargo-leptos empties and refills the site each time, wasm-opt and all, and the server would have to be built anew with
/// it: so it runs only when something has changed that the site is made of.
fn site() -> Result {
    let stamp = target_dir().join("site.stamp");
    let compiler = output(command("rustc").arg("--version")).unwrap_or_default();
    let started = SystemTime::now();
    if is_fresh(&stamp, &compiler) {
        say("site: already built");
        return Ok(());
    }
    let stamp_of_before = fs::remove_file(&stamp).is_ok();
    let mut leptos = command("cargo");
    leptos.args(["leptos", "build", "--release", "--frontend-only"]);
    run_long("site", if stamp_of_before { 2 } else { 4 }, leptos.env("PATH", path_with_npm()?))?;
    run("compress the site", command("node").args([COMPRESS, SITE]))?;
    within_budget(&root().join(SITE), MOST_LOADED)?;
    write_stamp(&stamp, &compiler, started).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Whether a page loads no more than it may.
fn within_budget(site: &Path, most: u64) -> Result {
    let mut all = 0;
    let mut parts = Vec::new();
    for file in LOADED {
        let file = format!("{file}.br");
        let bytes = fs::metadata(site.join(&file)).map_err(|error| format!("{file}: {error}"))?.len();
        all += bytes;
        parts.push(format!("{file} {bytes}"));
    }
    let parts = parts.join(", ");
    if all > most {
        return Err(format!(
            "a page loads {all} bytes ({parts}), and {most} is the most: see docs/performance.md for what they are"
        ));
    }
    say(&format!("a page loads {all} bytes of at most {most} ({parts})"));
    Ok(())
}

fn server(profile: Profile) -> Result {
    let args = ["build", "--profile", profile.name(), "--features", "ssr", "--bin", "confab"];
    let mut cargo = command("cargo");
    cargo.args(args);
    // A few seconds where nothing, or little, has changed.
    match (target_dir().join(profile.name()).join("confab").exists(), profile) {
        (true, _) => run("server", &mut cargo),
        (false, Profile::Release) => run_long("server", 6, &mut cargo),
        (false, Profile::Dist) => run_long("server", 13, &mut cargo),
    }
}

/// The PATH, with the programs of the npm packages first: cargo-leptos takes the first wasm-opt that it finds.
fn path_with_npm() -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(root().join("node_modules/.bin")).chain(std::env::split_paths(&path));
    std::env::join_paths(folders).map_err(|error| format!("PATH: {error}"))
}

/// The stamp is dated from before the build began, so that what was edited meanwhile is newer.
fn write_stamp(stamp: &Path, compiler: &str, started: SystemTime) -> io::Result<()> {
    fs::write(stamp, compiler)?;
    fs::File::options().write(true).open(stamp)?.set_modified(started)
}

fn is_fresh(stamp: &Path, compiler: &str) -> bool {
    let made = root().join(SITE).join("pkg/confab.wasm");
    let sources = target_dir().join("front/wasm32-unknown-unknown/wasm-release/confab.d");
    let check = || -> io::Result<bool> {
        let sources = listed_sources(&fs::read_to_string(sources)?);
        let ours = sources.contains(&root().join("src/lib.rs"));
        if !ours || !made.exists() || fs::read_to_string(stamp)? != compiler {
            return Ok(false);
        }
        let mut newest = SystemTime::UNIX_EPOCH;
        for input in
            sources.into_iter().chain(SITE_INPUTS.map(|input| root().join(input)).into_iter().filter(|input| input.exists()))
        {
            newest = newest.max(last_change(&input)?);
        }
        Ok(newest < fs::metadata(stamp)?.modified()?)
    };
    // What cannot be read is not there yet, or no longer: then the site is built.
    check().unwrap_or(false)
}

/// The files that cargo lists, in the manner of make, as what the library was compiled from: `output: input input`. A space
/// in a name is written `\ `.
fn listed_sources(rule: &str) -> Vec<PathBuf> {
    let Some((_, inputs)) = rule.lines().next().and_then(|line| line.split_once(": ")) else { return Vec::new() };
    let words = inputs.replace("\\ ", "\0");
    words.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('\0', " ").into()).collect()
}

/// When a file, or anything in a folder, was last changed; a folder changes when a file in it comes or goes.
fn last_change(path: &Path) -> io::Result<SystemTime> {
    let data = fs::metadata(path)?;
    let mut newest = data.modified()?;
    if data.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(last_change(&entry?.path())?);
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_from_the_rule_that_cargo_writes() {
        let rule = "/t/confab.wasm: /w/a.rs /w/two\\ words.rs\n\n/w/a.rs:\n";
        assert_eq!(listed_sources(rule), [PathBuf::from("/w/a.rs"), PathBuf::from("/w/two words.rs")]);
        assert!(listed_sources("").is_empty());
    }

    #[test]
    fn a_page_that_loads_too_much_is_not_built() {
        let folder = std::env::temp_dir().join(format!("xtask-budget-{}", std::process::id()));
        fs::create_dir_all(folder.join("pkg")).expect("folder");
        for (file, bytes) in LOADED.into_iter().zip([700, 200, 100]) {
            fs::write(folder.join(format!("{file}.br")), vec![b' '; bytes]).expect("file");
        }
        let outcomes = (within_budget(&folder, 1_000), within_budget(&folder, 999));
        fs::remove_file(folder.join("pkg/confab.css.br")).expect("clean up");
        let without = within_budget(&folder, 1_000);
        fs::remove_dir_all(&folder).expect("clean up");
        assert_eq!(outcomes.0, Ok(()));
        let said = outcomes.1.expect_err("too much");
        assert!(
            said.contains("1000 bytes") && said.contains("999 is the most") && said.contains("confab.wasm.br 700"),
            "{said}"
        );
        assert!(without.is_err_and(|said| said.contains("confab.css.br")));
    }

    #[test]
    fn a_folder_is_as_new_as_the_newest_thing_in_it() {
        let folder = std::env::temp_dir().join(format!("xtask-last-change-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).expect("folder");
        let file = folder.join("inner/file");
        fs::write(&file, "").expect("file");
        let future = SystemTime::now() + std::time::Duration::from_hours(1);
        fs::File::options().write(true).open(&file).and_then(|file| file.set_modified(future)).expect("date");
        let newest = last_change(&folder);
        let of_file = last_change(&file);
        fs::remove_dir_all(&folder).expect("clean up");
        assert_eq!(newest.expect("newest"), of_file.expect("file"));
    }
}
