//! Paths of the workspace, and commands that run in it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, Result, ensure};

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// A command in the folder of the workspace, with the environment of `cargo xtask`.
///
/// Cargo sets variables about this program. They are removed, because a change of them reruns build scripts such as
/// ring's.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(root());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if set_by_cargo.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// A command of the cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs a command and waits for it.
pub(crate) fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Runs a command and fails if the command fails.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    ensure!(status.success(), "{} failed ({status})", line(command));
    Ok(())
}

/// Runs a command and returns its standard output. Fails if the command fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{} failed ({})", line(command), output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{} printed output that is not UTF-8", line(command)))
}

/// The folder for programs with the same build profile as this program.
pub(crate) fn built_here() -> Result<PathBuf> {
    let me = env::current_exe().context("cannot find this program's own path")?;
    Ok(me.parent().context("the path of this program has no folder")?.to_owned())
}

/// The path of a program with the same build profile as this program.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    Ok(built_here()?.join(name))
}

/// The path of an optimised program.
pub(crate) fn optimised(name: &str) -> Result<PathBuf> {
    built_with("release", name)
}

/// The path of a program that was built with a profile, which cargo names the folder after.
pub(crate) fn built_with(profile: &str, name: &str) -> Result<PathBuf> {
    let here = built(name)?;
    let target = here.parent().and_then(Path::parent).context("this program is not in a target folder")?;
    Ok(target.join(profile).join(name))
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let parts = [program].into_iter().chain(command.get_args());
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_arguments() {
        let error = succeed(command("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "sh -c exit 3 failed (exit status: 3)");
    }

    #[test]
    fn the_variables_that_cargo_sets_are_not_passed_on() {
        assert!(env::var_os("CARGO_PKG_NAME").is_some(), "cargo test sets it");
        let seen = output(command("sh").args(["-c", "echo \"${CARGO_PKG_NAME-unset}\""])).unwrap();
        assert_eq!(seen, "unset\n");
    }
}
