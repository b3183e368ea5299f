//! `cargo xtask wasm`: `zumik-types` stays a library that builds for `wasm32-unknown-unknown`.
//!
//! Two checks. The dependency tree is looked at always; a build for the target follows where the target is installed.

use std::path::PathBuf;

use crate::process::{Result, cargo, command, read, run};

const TARGET: &str = "wasm32-unknown-unknown";

/// Crates that need what the target lacks.
const FORBIDDEN: &[(&str, &str)] = &[
    ("async-std", "threads and sockets"),
    ("getrandom", "the system's randomness"),
    ("hyper", "sockets"),
    ("iana-time-zone", "the system clock"),
    ("libc", "an operating system"),
    ("mio", "sockets"),
    ("native-tls", "an operating system"),
    ("num_cpus", "threads"),
    ("openssl-sys", "C libraries"),
    ("rayon-core", "threads"),
    ("reqwest", "sockets"),
    ("ring", "C libraries"),
    ("rusqlite", "files and C libraries"),
    ("rustls", "sockets and the system clock"),
    ("rustix", "an operating system"),
    ("socket2", "sockets"),
    ("tempfile", "files"),
    ("tokio", "threads and sockets"),
    ("windows-sys", "an operating system"),
];

/// Features of otherwise harmless crates that need what the target lacks.
const FORBIDDEN_FEATURES: &[(&str, &str, &str)] = &[
    ("chrono", "clock", "the system clock"),
    ("chrono", "now", "the system clock"),
    ("ulid", "rng", "the system's randomness"),
];

/// Checks the tree, and builds where that is possible.
pub(crate) fn wasm() -> Result {
    let tree = ["tree", "--package", "zumik-types", "--target", TARGET, "--edges", "normal"];
    let format = ["--prefix", "none", "--format", "{p}\t{f}"];
    let lines = read(cargo().args(tree).args(format))?;
    let found: Vec<_> = lines.lines().flat_map(violations).collect();
    if !found.is_empty() {
        return Err(format!("zumik-types must build for {TARGET}, but {}", found.join(", and ")).into());
    }
    if installed()? {
        run(cargo().args(["check", "--package", "zumik-types", "--target", TARGET]))
    } else {
        eprintln!("the dependency tree is fit for {TARGET}; no build, the target is not installed");
        Ok(())
    }
}

/// What is wrong with one line of the tree: `name vVERSION (…)`, a tab, and the features.
fn violations(line: &str) -> Vec<String> {
    let (package, features) = line.split_once('\t').unwrap_or((line, ""));
    let name = package.split(' ').next().unwrap_or(package);
    let crates = FORBIDDEN.iter().filter(|(forbidden, _)| *forbidden == name);
    let crates = crates.map(|(name, need)| format!("its dependency {name} needs {need}"));
    let features: Vec<_> = features.split(',').collect();
    let enabled =
        FORBIDDEN_FEATURES.iter().filter(|(owner, feature, _)| *owner == name && features.contains(feature));
    let enabled = enabled.map(|(name, feature, need)| format!("feature {feature} of {name} needs {need}"));
    crates.chain(enabled).collect()
}

/// Whether the standard library of the target is there.
fn installed() -> Result<bool> {
    let libdir = read(command("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(PathBuf::from(libdir.trim_end()).is_dir())
}

#[cfg(test)]
mod tests {
    use super::violations;

    #[test]
    fn a_crate_that_needs_an_operating_system_is_named_with_its_need() {
        let found = violations("tokio v1.54.1\tbytes,default,rt");
        assert_eq!(found, ["its dependency tokio needs threads and sockets"]);
    }

    #[test]
    fn a_feature_that_needs_the_clock_is_named() {
        assert_eq!(
            violations("chrono v0.4.45\talloc,now,std"),
            ["feature now of chrono needs the system clock"]
        );
    }

    #[test]
    fn what_the_target_has_is_let_through() {
        let lines = [
            "chrono v0.4.45\talloc,serde,std",
            "serde v1.0.229 (*)\tderive,std",
            "zumik-types v0.1.0 (/a/b)\t",
        ];
        assert!(lines.into_iter().flat_map(violations).next().is_none());
    }
}
