//! `cargo xtask fuzz`: the fuzz targets in `fuzz/`, one or all of them, for so long each.
//!
//! The stable compiler builds them with the coverage that libFuzzer needs, so nothing has to be installed. There is no
//! address sanitizer in it, which safe code does not need; `cargo fuzz`, whose layout the folder has, adds one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Result, cargo, command, read, run, target_dir, workspace};

/// How long one target runs when nothing is said.
const SECONDS: u64 = 60;

/// An input that takes this long breaks the law that time is in proportion to the input, which has at most [`LONGEST`]
/// bytes.
const SLOWEST_SECONDS: u64 = 5;
const LONGEST: u64 = 64 * 1024;

/// Most memory of a target, in MB.
const MEMORY: u64 = 4_096;

/// What libFuzzer is guided by.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs one target, or all.
pub(crate) fn fuzz(arguments: &[String]) -> Result {
    let (wanted, seconds) = parse(arguments)?;
    let all = targets(workspace())?;
    let chosen: Vec<&String> = match &wanted {
        None => all.iter().collect(),
        Some(wanted) => all.iter().filter(|target| *target == wanted).collect(),
    };
    if chosen.is_empty() {
        return Err(format!("there is no such fuzz target; there are: {}", all.join(", ")).into());
    }
    let programs = build()?;
    chosen.into_iter().try_for_each(|target| one(&programs.join(target), target, seconds))
}

/// Builds all targets; gives the folder of their programs.
fn build() -> Result<PathBuf> {
    let host = host()?;
    let built = target_dir().join("fuzz");
    fs::create_dir_all(&built)?;
    lock(workspace(), &built.join("workspace.lock"))?;
    let mut build = cargo();
    build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    // With a target of its own, programs that only run during the build have no coverage.
    build.args(["--target", &host, "--target-dir"]).arg(&built);
    run(build.env("RUSTFLAGS", COVERAGE))?;
    Ok(built.join(host).join("release"))
}

/// Locks the versions that everything else is tested with. Cargo writes what the targets alone need into that lock, and
/// nothing else is to change: it is made anew when that of the workspace, as it is kept at `seen`, has changed.
fn lock(root: &Path, seen: &Path) -> Result {
    let (ours, theirs) = (fs::read(root.join("Cargo.lock"))?, root.join("fuzz/Cargo.lock"));
    if !theirs.is_file() || !fs::read(seen).is_ok_and(|seen| seen == ours) {
        fs::write(theirs, &ours)?;
        fs::write(seen, ours)?;
    }
    Ok(())
}

/// The machine that this runs on, as cargo calls it.
fn host() -> Result<String> {
    let about = read(command("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not say what its host is")?.to_owned())
}

/// Runs a target. What it finds on its way stays in the target folder; an input that breaks a law is kept in
/// `fuzz/artifacts`.
fn one(program: &Path, target: &str, seconds: u64) -> Result {
    let folder = workspace().join("fuzz");
    let found = target_dir().join("fuzz/corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&artifacts)?;
    let mut fuzz = command(program);
    fuzz.arg(found).arg(folder.join("corpus").join(target)).args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={SLOWEST_SECONDS}"),
        format!("-max_len={LONGEST}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = folder.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        fuzz.arg(format!("-dict={}", dictionary.display()));
    }
    run(&mut fuzz).map_err(|error| format!("{target}: {error}").into())
}

/// The target that is named, if one is, and the seconds.
fn parse(arguments: &[String]) -> Result<(Option<String>, u64)> {
    const USAGE: &str = "usage: cargo xtask fuzz [TARGET] [--seconds N]";
    let (mut target, mut seconds) = (None, SECONDS);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => seconds = arguments.next().ok_or(USAGE)?.parse().map_err(|_| USAGE)?,
            name if !name.starts_with('-') && target.is_none() => target = Some(name.to_owned()),
            _ => return Err(USAGE.into()),
        }
    }
    Ok((target, seconds))
}

/// The names of all targets, in order.
fn targets(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_targets_are_locked_anew_when_the_workspace_is() {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = (root.path().join("Cargo.lock"), root.path().join("fuzz/Cargo.lock"));
        let seen = root.path().join("seen");
        fs::create_dir(root.path().join("fuzz")).unwrap();
        fs::write(&ours, "hyper 1").unwrap();
        lock(root.path(), &seen).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "hyper 1");
        // As cargo completes it.
        fs::write(&theirs, "hyper 1, libfuzzer-sys 0.4").unwrap();
        lock(root.path(), &seen).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "hyper 1, libfuzzer-sys 0.4");
        fs::write(&ours, "hyper 2").unwrap();
        lock(root.path(), &seen).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "hyper 2");
    }
}
