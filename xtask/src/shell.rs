//! Folders of the workspace, and programs run in them.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::Result;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// Where cargo puts what it builds: `CARGO_TARGET_DIR`, or `target` in the workspace. Always absolute.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(&folder).unwrap_or_else(|_| folder.into()),
        None => root().join("target"),
    }
}

/// A program to be run in the folder of the workspace.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = command_here(program);
    command.current_dir(root());
    command
}

/// A program to be run in the current folder, without what `cargo run` adds to the environment: build scripts that
/// look at these variables would run again each time.
pub(crate) fn command_here(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        command.env("CARGO_TARGET_DIR", target_dir());
    }
    command
}

/// Tells on one line what happens now. Not on standard output: that is for results.
pub(crate) fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Runs a step, its output going to the terminal.
///
/// # Errors
/// When the program cannot be started or does not end well.
pub(crate) fn run(what: &str, command: &mut Command) -> Result {
    let line = line(command);
    say(&format!("{what}: {line}"));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{what}: `{line}` failed, {status}")),
        Err(error) => Err(format!("{what}: `{line}` did not start: {error}")),
    }
}

/// Runs a step that takes minutes, and says so: about how many on two cores.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_long(what: &str, minutes: u32, command: &mut Command) -> Result {
    let began = Instant::now();
    run(&format!("{what} (about {minutes} min on two cores)"), command)?;
    say(&format!("{what}: done in {:.1} min", began.elapsed().as_secs_f64() / 60.0));
    Ok(())
}

/// What a program prints, or nothing when it is missing or does not end well.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The command as it would be typed, with the variables that it sets.
pub(crate) fn line(command: &Command) -> String {
    let shown = |name: &OsStr| !matches!(name.to_str(), Some("PATH" | "CARGO_TARGET_DIR"));
    let variables = command
        .get_envs()
        .filter(|(name, _)| shown(name))
        .filter_map(|(name, value)| value.map(|value| format!("{}={}", name.to_string_lossy(), word(value))));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(word);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn word(text: &OsStr) -> String {
    let text = text.to_string_lossy();
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.env("LTO", "off").env("PATH", "/bin").env_remove("HOME").args(["test", "two words"]);
        assert_eq!(line(&command), "LTO=off cargo test 'two words'");
    }

    #[test]
    fn the_root_is_the_folder_of_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn a_failing_step_names_its_command() {
        let message = run("try", &mut Command::new("false")).expect_err("false fails");
        assert!(message.starts_with("try: `false` failed"), "{message}");
        let message = run("try", &mut Command::new("no-such-program")).expect_err("there is none");
        assert!(message.contains("did not start"), "{message}");
    }
}
