//! What is taken away: `target/packages` with a tar.gz and a Debian package of the server, their checksums, a bill of materials and the
//! licences of all that is compiled into the binary.
//!
//! The list of crates is that of `cargo tree`, of the server and of the browser's half, which the server carries. Each crate's licence
//! texts are read from where Cargo keeps its source. The packages are put together by `tar` and `dpkg-deb`.
//! [`trial`] installs, upgrades and removes the Debian package in a bare Debian 12.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{
    Result,
    build::{self, Profile},
    shell::{command, output, root, run, say, target_dir},
    tools,
};

/// The server's halves and the features and the target that choose what is in each.
const HALVES: [(&str, &str); 2] = [("ssr", "x86_64-unknown-linux-gnu"), ("hydrate", "wasm32-unknown-unknown")];

/// Builds the server and its packages.
pub(crate) fn all() -> Result {
    build::all(Profile::Dist)?;
    let version = version()?;
    let packages = packages();
    let stage = target_dir().join("packages.stage");
    for folder in [&packages, &stage] {
        remove(folder)?;
        created(folder)?;
    }
    let crates = crates()?;
    let (bom, licences) = (bill_of_materials(&version, &crates), licences(&crates)?);
    let binary = stage.join("confab");
    // The names of functions stay, for whoever reads a backtrace; their lines are three times the program.
    let mut strip = command("strip");
    run("strip", strip.arg("--strip-debug").arg("-o").arg(&binary).arg(target_dir().join("dist/confab")))?;
    tarball(&stage, &packages, &version, &binary, (&bom, &licences))?;
    debian(&stage, &packages, &version, &binary, (&bom, &licences))?;
    write(&packages.join(format!("confab-{version}.cdx.json")), &bom)?;
    checksums(&packages)?;
    remove(&stage)?;
    say(&format!("packages: {}", packages.display()));
    Ok(())
}

fn packages() -> PathBuf {
    target_dir().join("packages")
}

/// The version of the workspace.
fn version() -> Result<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(|error| format!("Cargo.toml: {error}"))?;
    version_in(&manifest).map(str::to_owned).ok_or_else(|| "Cargo.toml names no version of the workspace".to_owned())
}

fn version_in(manifest: &str) -> Option<&str> {
    let (_, workspace) = manifest.split_once("[workspace.package]")?;
    workspace.split_once("version = \"")?.1.split_once('"').map(|(version, _)| version)
}

/// A crate that is in the binary.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    /// As its manifest has it, an SPDX expression mostly.
    licence: String,
}

fn crates() -> Result<BTreeSet<Crate>> {
    let mut crates = BTreeSet::new();
    for (feature, target) in HALVES {
        let format = ["--prefix", "none", "--format", "{p}\t{l}"];
        let mut tree = command("cargo");
        tree.args(["tree", "--locked", "--package", "confab", "--features", feature, "--target", target, "--edges", "normal"]);
        let printed = output(tree.args(format)).ok_or("cargo tree did not list the crates")?;
        crates.extend(printed.lines().filter_map(listed));
    }
    Ok(crates)
}

/// Reads a line such as `serde v1.0.229 (proc-macro)⇥MIT OR Apache-2.0 (*)`; Confab itself is none of its parts.
fn listed(line: &str) -> Option<Crate> {
    let (package, licence) = line.split_once('\t')?;
    let mut words = package.split_whitespace();
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let licence = licence.trim_end_matches(" (*)").trim().to_owned();
    (name != "confab").then(|| Crate { name: name.to_owned(), version: version.to_owned(), licence })
}

/// The bill in the form of `CycloneDX` 1.5, as JSON.
fn bill_of_materials(version: &str, crates: &BTreeSet<Crate>) -> String {
    let components = crates.iter().map(|Crate { name, version, licence }| {
        let purl = format!("pkg:cargo/{name}@{version}");
        let licences = match licence.as_str() {
            "" => String::new(),
            // What is written with a slash is the old way to say OR.
            licence => format!(", \"licenses\": [{{\"expression\": \"{}\"}}]", text(&licence.replace('/', " OR "))),
        };
        format!(
            "    {{\"type\": \"library\", \"bom-ref\": \"{purl}\", \"name\": \"{}\", \"version\": \"{}\", \"purl\": \"{purl}\"{licences}}}",
            text(name),
            text(version)
        )
    });
    let components = components.collect::<Vec<_>>().join(",\n");
    format!(
        "{{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"metadata\": {{\"component\": {{\"type\": \
         \"application\", \"name\": \"confab\", \"version\": \"{version}\"}}}},\n  \"components\": [\n{components}\n  ]\n}}\n"
    )
}

/// A text inside the quotes of JSON.
fn text(text: &str) -> String {
    text.chars().fold(String::new(), |mut text, c| {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => _ = write!(text, "\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
        text
    })
}

/// Every licence text once, with the crates that have it.
fn licences(crates: &BTreeSet<Crate>) -> Result<String> {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut page =
        "Confab is under the licence in the file LICENSE. What is compiled into it, and under which licence:\n\n".to_owned();
    for part @ Crate { name, version, licence } in crates {
        let licence = if licence.is_empty() { "see below" } else { licence };
        let _ = writeln!(page, "{name} {version}: {licence}");
        for text in licence_texts(part)? {
            by_text.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    page.push_str("libsqlite3-sys has SQLite in it, which its authors have dedicated to the public domain.\n");
    let mut texts: Vec<_> = by_text.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, crates) in texts {
        let _ = write!(page, "\n{}\n{}\n\n{}\n", "=".repeat(100), crates.join(", "), text.trim_end());
    }
    Ok(page)
}

fn licence_texts(Crate { name, version, .. }: &Crate) -> Result<Vec<String>> {
    let folder = source_of(name, version)?;
    let names = ["license", "licence", "copying", "copyright", "notice", "unlicense"];
    let is_licence = |path: &Path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        path.is_file() && names.iter().any(|name| file.starts_with(name))
    };
    let mut paths: Vec<_> = entries(&folder)?.into_iter().filter(|path| is_licence(path)).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).map(|text| String::from_utf8_lossy(&text).into_owned());
    paths.into_iter().map(read).collect::<io::Result<_>>().map_err(|error| format!("{}: {error}", folder.display()))
}

/// Where Cargo keeps the source of a crate.
fn source_of(name: &str, version: &str) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"))).ok_or("HOME is not set")?;
    let registries = entries(&home.join("registry/src"))?;
    let mut folders = registries.iter().map(|registry| registry.join(format!("{name}-{version}")));
    folders.find(|folder| folder.is_dir()).ok_or_else(|| format!("the source of {name} {version} is not in {}", home.display()))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>();
    read().map_err(|error| format!("{}: {error}", folder.display()))
}

/// `confab-VERSION-ARCHITECTURE-linux.tar.gz`: a folder with the binary and what goes with it.
fn tarball(stage: &Path, packages: &Path, version: &str, binary: &Path, (bom, licences): (&str, &str)) -> Result {
    let name = format!("confab-{version}-{}-linux", env::consts::ARCH);
    let folder = stage.join(&name);
    created(&folder)?;
    put(binary, &folder.join("confab"), 0o755)?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE", "Leptos.toml", "packaging/confab.service"] {
        let path = Path::new(file);
        put(&root().join(path), &folder.join(path.file_name().unwrap_or(path.as_os_str())), 0o644)?;
    }
    write(&folder.join("LICENSES-OF-PARTS.txt"), licences)?;
    write(&folder.join("confab.cdx.json"), bom)?;
    let mut tar = command("tar");
    tar.args(["--create", "--gzip", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--directory"]).arg(stage);
    run("tar.gz", tar.arg("--file").arg(packages.join(format!("{name}.tar.gz"))).arg(name))
}

/// `confab_VERSION_ARCHITECTURE.deb`.
fn debian(stage: &Path, packages: &Path, version: &str, binary: &Path, (bom, licences): (&str, &str)) -> Result {
    let folder = stage.join("debian");
    let (doc, control) = (folder.join("usr/share/doc/confab"), folder.join("DEBIAN"));
    for below in ["usr/bin", "etc/confab", "lib/systemd/system"] {
        created(&folder.join(below))?;
    }
    created(&doc)?;
    created(&control)?;
    put(binary, &folder.join("usr/bin/confab"), 0o755)?;
    put(&root().join("packaging/confab.service"), &folder.join("lib/systemd/system/confab.service"), 0o644)?;
    for (file, name) in [("README.md", "README.md"), ("CHANGELOG.md", "changelog.md"), ("LICENSE", "copyright")] {
        put(&root().join(file), &doc.join(name), 0o644)?;
    }
    write(&doc.join("licenses-of-parts.txt"), licences)?;
    run("compress the licences", command("gzip").args(["--best", "--no-name"]).arg(doc.join("licenses-of-parts.txt")))?;
    write(&doc.join("confab.cdx.json"), bom)?;
    let settings = fs::read_to_string(root().join("Leptos.toml")).map_err(|error| format!("Leptos.toml: {error}"))?;
    write(&folder.join("etc/confab/confab.toml"), &settings_of_package(&settings)?)?;
    write(&control.join("conffiles"), "/etc/confab/confab.toml\n")?;
    for script in ["postinst", "prerm", "postrm"] {
        put(&root().join("packaging/debian").join(script), &control.join(script), 0o755)?;
    }
    let architecture =
        output(command("dpkg").arg("--print-architecture")).ok_or("dpkg did not say which architecture this is")?;
    let bytes = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let glibc = newest_glibc(&bytes).ok_or("the binary names no version of glibc")?;
    write(&control.join("control"), &control_file(version, &architecture, &glibc, bytes.len()))?;
    let package = packages.join(format!("confab_{version}_{architecture}.deb"));
    run(".deb", command("dpkg-deb").args(["--root-owner-group", "--build"]).args([folder, package]))
}

/// The settings with the data where Debian has it.
fn settings_of_package(settings: &str) -> Result<String> {
    let changed = settings.replacen("\ndata = \"data\"\n", "\ndata = \"/var/lib/confab\"\n", 1);
    if changed == settings { Err("Leptos.toml has no line for server.data".to_owned()) } else { Ok(changed) }
}

fn control_file(version: &str, architecture: &str, glibc: &str, size: usize) -> String {
    format!(
        "Package: confab\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: The authors of Confab <confab@localhost>\n\
         Installed-Size: {}\nDepends: adduser, init-system-helpers, libc6 (>= {glibc}), libgcc-s1\nRecommends: ca-certificates\n\
         Section: net\nPriority: optional\nDescription: real-time group server and web application\n People talk in rooms that are rendered \
         on the server and live over WebSocket;\n programs push from outside; consumers of Django Channels share their groups.\n \
         One binary with SQLite inside.\n",
        size / 1024
    )
}

/// The newest version of glibc that a binary asks for, such as `2.34`: its symbols are named `GLIBC_2.34`.
fn newest_glibc(binary: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"GLIBC_2.";
    let minors = binary.windows(MARK.len()).enumerate().filter(|(_, bytes)| *bytes == MARK).filter_map(|(at, _)| {
        let digits: String =
            binary[at + MARK.len()..].iter().map(|byte| char::from(*byte)).take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    minors.max().map(|minor| format!("2.{minor}"))
}

fn checksums(packages: &Path) -> Result {
    let mut names: Vec<_> = entries(packages)?;
    names.sort();
    let mut sum = command("sha256sum");
    sum.current_dir(packages).args(names.iter().filter_map(|path| path.file_name()));
    let printed = output(&mut sum).ok_or("sha256sum did not sum the packages")?;
    write(&packages.join("SHA256SUMS"), &format!("{printed}\n"))
}

/// Installs the package in a bare Debian 12, upgrades it from a lower version and removes it, and prints what it did. `old` may name the
/// package of the lower version; otherwise it is made of today's.
pub(crate) fn trial(old: &[&str]) -> Result {
    let version = version()?;
    let new = entries(&packages())?.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "deb"));
    let new = new.ok_or("there is no package yet: cargo xtask dist")?;
    tools::for_trial()?;
    let place = target_dir().join("debian-12");
    if !place.join("usr/bin/dpkg").exists() {
        let include = "--include=adduser,init-system-helpers,ca-certificates,curl";
        run("a bare Debian 12", command("debootstrap").args(["--variant=minbase", include, "bookworm"]).arg(&place))?;
    }
    let script = root().join("packaging/debian/trial.sh");
    put(&script, &place.join("trial.sh"), 0o755)?;
    put(&new, &place.join("new.deb"), 0o644)?;
    match old {
        [] => lowered(&new, &place.join("old.deb"))?,
        [old] => put(Path::new(old), &place.join("old.deb"), 0o644)?,
        _ => return Err("one package of a lower version at most".to_owned()),
    }
    run("install, upgrade, remove", command("chroot").arg(&place).args(["/trial.sh", &version]))
}

/// Today's package under a lower version, with a setting less, as an older one would have.
fn lowered(new: &Path, old: &Path) -> Result {
    let stage = target_dir().join("packages.stage");
    remove(&stage)?;
    run("open the package", command("dpkg-deb").args(["--raw-extract"]).args([new, &stage]))?;
    let control = stage.join("DEBIAN/control");
    let read = |path: &Path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let lines = read(&control)?;
    let lower = lines.lines().map(|line| if line.starts_with("Version: ") { "Version: 0.0.1" } else { line });
    write(&control, &(lower.collect::<Vec<_>>().join("\n") + "\n"))?;
    let settings = stage.join("etc/confab/confab.toml");
    let fewer = read(&settings)?.replace("\nbacklog_bytes = 1048576\n", "\n");
    write(&settings, &fewer)?;
    run("a package of a lower version", command("dpkg-deb").args(["--root-owner-group", "--build"]).args([&stage, old]))?;
    remove(&stage)
}

fn put(from: &Path, to: &Path, mode: u32) -> Result {
    let copy = || {
        fs::copy(from, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode))
    };
    copy().map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn write(path: &Path, text: &str) -> Result {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn created(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

fn remove(folder: &Path) -> Result {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_as_cargo_lists_them() {
        let serde = Crate { name: "serde".into(), version: "1.0.1".into(), licence: "MIT OR Apache-2.0".into() };
        assert_eq!(listed("serde v1.0.1 (proc-macro)\tMIT OR Apache-2.0 (*)"), Some(serde));
        assert_eq!(listed("confab v0.1.0 (/somewhere)\tMIT"), None);
        assert_eq!(listed(""), None);
    }

    #[test]
    fn the_version_is_that_of_the_workspace() {
        let manifest = "[workspace]\nresolver = \"3\"\n[workspace.package]\nversion = \"0.1.0\"\n[dependencies]\nx = \"2\"\n";
        assert_eq!(version_in(manifest), Some("0.1.0"));
    }

    #[test]
    fn the_newest_glibc_is_found_by_number() {
        assert_eq!(newest_glibc(b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.\0GLIBC_PRIVATE"), Some("2.34".to_owned()));
        assert_eq!(newest_glibc(b"GLIBC_"), None);
    }

    #[test]
    fn the_settings_of_the_package_are_those_of_the_repository() {
        let settings = fs::read_to_string(root().join("Leptos.toml")).expect("the settings");
        let changed = settings_of_package(&settings).expect("a line for the data");
        assert!(changed.contains("\ndata = \"/var/lib/confab\"\n") && changed.len() > settings.len());
    }

    #[test]
    fn a_bill_is_json_with_every_crate() {
        let part = Crate { name: "a\"b".into(), version: "1.0.0".into(), licence: "MIT/Apache-2.0".into() };
        let bill = bill_of_materials("0.1.0", &BTreeSet::from([part]));
        assert!(bill.contains(r#""name": "a\"b""#) && bill.contains("MIT OR Apache-2.0"), "{bill}");
    }
}
