//! The programs that the steps need: each is looked for, and installed when it is missing or of another version.
//!
//! What cannot be installed is named together with the command that would do it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    shell::{command, line, output, root, run, run_long, say, target_dir},
};

/// The newest cargo-leptos that builds with the `rust-version` of the workspace.
const CARGO_LEPTOS: &str = "0.3.10";
const WASM: &str = "wasm32-unknown-unknown";
/// The oldest Node.js that Playwright runs on.
const NODE: u32 = 20;

/// The files for Docker, and the npm packages that check them.
pub(crate) const DOCKER: &str = "packaging/docker";

/// What the release build needs.
pub(crate) fn for_build() -> Result {
    wasm_target()?;
    cargo_leptos()?;
    wasm_bindgen()?;
    node_packages(&root())
}

/// What the lints need.
pub(crate) fn for_lint() -> Result {
    wasm_target()?;
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if output(command("cargo").args([subcommand, "--version"])).is_none() {
            install(component, command("rustup").args(["component", "add", component]))?;
        }
    }
    node("the lints")?;
    node_packages(&root().join(DOCKER))
}

/// What the Rust tests need: Redis, PostgreSQL, nginx, Python with the packages of those that Confab talks with, and Node.js with a
/// client.
pub(crate) fn for_rust_tests() -> Result {
    redis()?;
    postgres()?;
    nginx()?;
    python("python", "tests/python/requirements.txt")?;
    node("the Rust tests")?;
    node_packages(&root().join("tests/node"))
}

/// What the benchmarks need, besides what the Rust tests do: the peers beside which Confab is measured, and what counts
/// instructions. The package `ws` is the one of the Rust tests.
pub(crate) fn for_benchmarks() -> Result {
    for_rust_tests()?;
    // uWebSockets is built with it.
    let loader = output(command("python3").args(["-c", "import ctypes; ctypes.CDLL('libuv.so.1')"]));
    if loader.is_some() {
        already("libuv")?;
    } else {
        debian_packages("libuv", &["libuv1"], "install it, so that the loader finds libuv.so.1")?;
    }
    valgrind()?;
    python("python-benches", "benches/peers/requirements.txt")
}

/// What the browser tests need, besides the build: Node.js with packages, a browser, Redis and PostgreSQL for servers of several
/// nodes, and Python with Django and nginx for one site of both.
pub(crate) fn for_browser() -> Result {
    node("the browser tests")?;
    node_packages(&root().join("end2end"))?;
    redis()?;
    postgres()?;
    nginx()?;
    python("python", "tests/python/requirements.txt")?;
    chromium()
}

fn wasm_target() -> Result {
    let there = output(command("rustc").args(["--print", "target-libdir", "--target", WASM]))
        .is_some_and(|folder| Path::new(&folder).is_dir());
    if there { already(WASM) } else { install(WASM, command("rustup").args(["target", "add", WASM])) }
}

fn cargo_leptos() -> Result {
    let what = format!("cargo-leptos {CARGO_LEPTOS}");
    let there = || output(command("cargo").args(["leptos", "--version"])).as_deref().and_then(version) == Some(CARGO_LEPTOS);
    if there() {
        return already(&what);
    }
    let mut cargo = cargo_install("cargo-leptos", CARGO_LEPTOS);
    // It finds wasm-bindgen and wasm-opt on the PATH and downloads nothing.
    install_long(&what, 5, cargo.args(["--features", "no_downloads"]))?;
    on_path(&what, there())
}

/// The command line tool and the library speak a format that changes with every version: they must be the same.
fn wasm_bindgen() -> Result {
    let lock = fs::read_to_string(root().join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let wanted = locked(&lock, "wasm-bindgen").ok_or("Cargo.lock does not name wasm-bindgen")?;
    let what = format!("wasm-bindgen {wanted}");
    let there = || output(command("wasm-bindgen").arg("--version")).as_deref().and_then(version) == Some(wanted);
    if there() {
        return already(&what);
    }
    install_long(&what, 1, &mut cargo_install("wasm-bindgen-cli", wanted))?;
    on_path(&what, there())
}

/// What was just installed must answer, or the build fails later and says less.
fn on_path(what: &str, there: bool) -> Result {
    let home = || env::var("CARGO_HOME").unwrap_or_else(|_| "~/.cargo".to_owned());
    there
        .then_some(())
        .ok_or_else(|| format!("{what} was installed, but it is not the one that PATH finds: put {}/bin first in PATH", home()))
}

fn cargo_install(package: &str, version: &str) -> Command {
    let mut cargo = command("cargo");
    // Cargo goes by its own list of what it installed, even when the file is no longer there: only `--force` looks past it.
    cargo.args(["install", package, "--locked", "--force", "--version", version]).env_remove("CARGO_TARGET_DIR");
    // The tools' own profiles take more than twice as long to build and save nothing in use.
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "64");
    cargo
}

/// Node.js itself is not installed here.
fn node(what_needs_it: &str) -> Result {
    let node = output(command("node").arg("--version"));
    if node.as_deref().and_then(major).is_none_or(|major| major < NODE) {
        let found = node.map_or_else(|| "is missing".to_owned(), |version| format!("is {version}"));
        return Err(format!("{what_needs_it} need Node.js {NODE} or newer with npm, and it {found}: see https://nodejs.org"));
    }
    Ok(())
}

/// The npm packages that the lock file of a folder names; they are installed again when the lock is newer.
fn node_packages(folder: &Path) -> Result {
    let name = folder
        .file_name()
        .filter(|_| folder != root())
        .map_or("npm packages".into(), |name| format!("npm packages of {}", name.to_string_lossy()));
    let written = |file: &str| fs::metadata(folder.join(file)).and_then(|data| data.modified()).ok();
    if written("node_modules/.package-lock.json").is_some_and(|then| Some(then) >= written("package-lock.json")) {
        return already(&name);
    }
    if output(command("npm").arg("--version")).is_none() {
        return Err(format!("{name}: Node.js with npm is missing, version {NODE} or newer: see https://nodejs.org"));
    }
    let mut npm = command("npm");
    npm.args(["ci", "--no-fund", "--no-audit"]).current_dir(folder).env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    install(&name, &mut npm)
}

/// Debian's own browser, with letters for most scripts and for emoji.
fn chromium() -> Result {
    if env::var_os("CHROMIUM").is_some() || Path::new("/usr/bin/chromium").exists() {
        return already("chromium");
    }
    let packages = ["chromium", "fonts-dejavu-core", "fonts-noto-color-emoji"];
    debian_packages("chromium", &packages, "install it and set CHROMIUM to its path")
}

/// Debian's `redis-server`, which is Sentinel too. The tests start servers of their own, so the one that the package
/// starts, and would start with every boot, is stopped.
fn redis() -> Result {
    if ["redis-server", "redis-cli"].iter().all(|program| output(command(program).arg("--version")).is_some()) {
        return already("redis-server");
    }
    debian_packages("redis-server", &["redis-server"], "install it, so that PATH finds it")?;
    switch_off("redis-server")
}

/// Debian's `postgresql`, for the programs of its server. Those stand in a folder for each version, which PATH does not name.
/// The tests start servers of their own, so the one that the package starts, and would start with every boot, is stopped.
fn postgres() -> Result {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders = versions.map(|version| version.path().join("bin")).chain([PathBuf::new()]);
    let answers = |program: &Path| output(command(program).arg("--version")).is_some();
    if folders.any(|folder| ["initdb", "postgres"].iter().all(|program| answers(&folder.join(program)))) {
        return already("postgresql");
    }
    debian_packages("postgresql", &["postgresql"], "install its server, so that PATH finds initdb and postgres")?;
    switch_off("postgresql")
}

/// Debian's `nginx`, which the tests put before servers. The one that the package starts, and would start with every boot, is stopped.
fn nginx() -> Result {
    // Debian has it where only root's programs are.
    if ["nginx", "/usr/sbin/nginx"].iter().any(|program| output(command(program).arg("-v")).is_some()) {
        return already("nginx");
    }
    debian_packages("nginx", &["nginx-light"], "install it, so that PATH finds it")?;
    switch_off("nginx")
}

/// What the trial of the Debian package needs.
pub(crate) fn for_trial() -> Result {
    if output(command("debootstrap").arg("--version")).is_some() {
        return already("debootstrap");
    }
    debian_packages("debootstrap", &["debootstrap"], "install it, so that PATH finds it")
}

/// Debian's `valgrind`, whose `callgrind` counts instructions.
fn valgrind() -> Result {
    if output(command("valgrind").arg("--version")).is_some() {
        return already("valgrind");
    }
    debian_packages("valgrind", &["valgrind"], "install it, so that PATH finds it")
}

/// Stops the service that a package has started, for good.
fn switch_off(service: &str) -> Result {
    run(&format!("stop the system's own {service}"), as_root("invoke-rc.d").args([service, "stop"]))?;
    run("keep it from starting with the system", as_root("update-rc.d").args([service, "disable"]))
}

/// A virtual environment with the packages that a file names. It is made anew when that file has changed: a copy of it stands in
/// the folder once all is installed.
fn python(folder: &str, requirements: &str) -> Result {
    let (folder, wanted) = (target_dir().join(folder), root().join(requirements));
    let (interpreter, installed) = (folder.join("bin/python"), folder.join("requirements.txt"));
    let requirements = fs::read(&wanted).map_err(|error| format!("{}: {error}", wanted.display()))?;
    // The interpreter is a link to the system's, which may have gone.
    if fs::read(&installed).is_ok_and(|then| then == requirements) && output(command(&interpreter).arg("--version")).is_some() {
        return already(&format!("Python packages of {}", folder.display()));
    }
    if output(command("python3").args(["-c", "import ensurepip, venv"])).is_none() {
        let otherwise = "install Python 3.10 or newer with venv and pip, so that PATH finds python3";
        debian_packages("python3 with venv", &["python3", "python3-venv"], otherwise)?;
    }
    install("a Python environment", command("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = command(&interpreter);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"]);
    install("Python packages", pip.arg(&wanted))?;
    // What is not pinned is not installed; this names it.
    run("check the Python packages", command(&interpreter).args(["-m", "pip", "check"]))?;
    fs::write(&installed, requirements).map_err(|error| format!("{}: {error}", installed.display()))
}

/// Installs packages where there is Debian's package manager; elsewhere says what to do `otherwise`.
fn debian_packages(what: &str, packages: &[&str], otherwise: &str) -> Result {
    if output(command("apt-get").arg("--version")).is_none() {
        return Err(format!("{what} is missing: {otherwise}"));
    }
    apt(&["update"], "the list of Debian packages")?;
    apt(&[&["install", "--yes", "--no-install-recommends"], packages].concat(), what)
}

fn apt(args: &[&str], what: &str) -> Result {
    install(what, as_root("apt-get").args(args).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// A program that only root may run.
fn as_root(program: &str) -> Command {
    if output(command("id").arg("-u")).as_deref() == Some("0") {
        return command(program);
    }
    let mut sudo = command("sudo");
    sudo.arg(program);
    sudo
}

fn install(what: &str, command: &mut Command) -> Result {
    explained(what, run(&format!("install {what}"), command), command)
}

fn install_long(what: &str, minutes: u32, command: &mut Command) -> Result {
    explained(what, run_long(&format!("install {what}"), minutes, command), command)
}

/// Says what would install a thing that could not be installed.
fn explained(what: &str, outcome: Result, command: &Command) -> Result {
    outcome.map_err(|error| {
        format!("{error}\n{what} is needed and could not be installed; this would do it:\n  {}", line(command))
    })
}

#[allow(clippy::unnecessary_wraps, reason = "the other outcome of `install`")]
fn already(what: &str) -> Result {
    say(&format!("{what}: already there"));
    Ok(())
}

/// `0.3.10` of `cargo-leptos 0.3.10`.
fn version(printed: &str) -> Option<&str> {
    printed.lines().next()?.split_whitespace().nth(1)
}

/// `20` of `v20.11.1`.
fn major(printed: &str) -> Option<u32> {
    printed.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The version of a package that stands in a Cargo.lock once.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("\nname = \"{package}\"\nversion = \""))?;
    entry.split_once('"').map(|(version, _)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_tools_print_them() {
        assert_eq!(version("cargo-leptos 0.3.10"), Some("0.3.10"));
        assert_eq!(version("wasm-bindgen 0.2.128 (abc)\nmore"), Some("0.2.128"));
        assert_eq!(version(""), None);
        assert_eq!(major("v20.11.1"), Some(20));
        assert_eq!(major("20"), None);
    }

    #[test]
    fn the_locked_version_is_that_of_the_very_package() {
        let lock = "\
[[package]]
name = \"wasm-bindgen-futures\"
version = \"0.4.1\"

[[package]]
name = \"wasm-bindgen\"
version = \"0.2.128\"
";
        assert_eq!(locked(lock, "wasm-bindgen"), Some("0.2.128"));
        assert_eq!(locked(lock, "leptos"), None);
    }
}
