//! The data folder that a command works on.

use std::env;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zumik_server::config::{Settings, SettingsError, StoreUrl};
use zumik_server::seal::MasterKey;
use zumik_server::store::sqlite::{OpenError, Registry};

use crate::args::DataArgs;
use crate::failure::{self, Failure};
use crate::term;

/// What holds for a folder: these settings, then the environment, then its `zumik.toml`.
pub(crate) fn complete(settings: Settings, folder: &Path) -> Result<Settings, Failure> {
    settings.complete(folder).map_err(|error| unusable(&error))
}

fn unusable(error: &SettingsError) -> Failure {
    let what = "the settings cannot be used";
    match error {
        SettingsError::Unreadable { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Failure::failed(format_args!(
                "{}; run this as the user that the server runs as, or name another folder with --data DIR",
                failure::chain(error)
            ))
        }
        SettingsError::Unreadable { .. } => Failure::because(what, error),
        _ => Failure::misuse(what, error),
    }
}

/// The database that holds everything for a server on this folder, if one does.
pub(crate) fn store(folder: &Path) -> Result<Option<StoreUrl>, Failure> {
    Settings::store_of(folder).map_err(|error| unusable(&error))
}

/// Refuses to take a folder for all that a server keeps, when it keeps it in a database.
pub(crate) fn is_all(folder: &Path, instead: &str) -> Result<(), Failure> {
    let Some(store) = store(folder)? else { return Ok(()) };
    let place = store.address().map_or_else(|_| "a database".to_owned(), |address| address.to_string());
    Err(Failure::failed(format_args!(
        "by ZUMIK_STORE, or store in zumik.toml, everything is kept in {place} and not in {}; {instead}",
        term::printable(&folder.display().to_string())
    )))
}

/// The folder that was named, or the user's own; always an absolute path.
pub(crate) fn folder(args: &DataArgs) -> Result<PathBuf, Failure> {
    let folder = match &args.data {
        Some(folder) => folder.clone(),
        None => dirs::data_dir()
            .ok_or_else(|| {
                Failure::usage("there is no user data folder on this machine; name one with --data DIR")
            })?
            .join("zumik"),
    };
    let folder = std::path::absolute(&folder)
        .map_err(|e| Failure::because("cannot tell where the data folder is", &e))?;
    match folder.ancestors().find(|ancestor| ancestor.exists()) {
        Some(ancestor) if !ancestor.is_dir() => Err(Failure::failed(format_args!(
            "{} is no folder, so no data can be kept there; name another with --data DIR",
            ancestor.display()
        ))),
        _ => Ok(folder),
    }
}

/// Refuses two folders of which one is the other or lies in it: a copy there would become part of what it was made of.
pub(crate) fn are_apart(source: &Path, target: &Path) -> Result<(), Failure> {
    let (real_source, real_target) = (real(source), real(target));
    let shown = |folder: &Path| term::printable(&folder.display().to_string());
    let (source, target) = (shown(source), shown(target));
    if real_source == real_target {
        Err(Failure::usage(format_args!("{source} and {target} are the same folder; name another")))
    } else if real_target.starts_with(&real_source) {
        Err(Failure::usage(format_args!(
            "{target} lies in {source}, which is copied; name a folder outside of it"
        )))
    } else if real_source.starts_with(&real_target) {
        Err(Failure::usage(format_args!(
            "{source}, which is copied, lies in {target}; name a folder beside it"
        )))
    } else {
        Ok(())
    }
}

/// Where a folder is, or would be, by whatever way it is named.
fn real(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find_map(|above| {
        let real = std::fs::canonicalize(above).ok()?;
        Some(real.join(folder.strip_prefix(above).ok()?))
    });
    there.unwrap_or_else(|| folder.to_owned())
}

/// The key of `ZUMIK_MASTER_KEY`, if it is set.
pub(crate) fn master_key() -> Result<Option<MasterKey>, Failure> {
    match env::var("ZUMIK_MASTER_KEY") {
        Ok(text) if !text.is_empty() => MasterKey::parse(&text)
            .map(Some)
            .map_err(|error| Failure::usage(format_args!("ZUMIK_MASTER_KEY: {error}"))),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Failure::usage("ZUMIK_MASTER_KEY is not 64 hexadecimal digits"))
        }
        _ => Ok(None),
    }
}

/// The way out where data is of an older version, or of none yet: only a server brings it up to date.
pub(crate) const FIRST_START: &str = "start `zumik serve` of this version on it once";

/// The file in a data folder that makes it one.
const DATABASE: &str = "zumik.db";

/// Opens the projects and keys of a folder, also beside a server that runs on it.
pub(crate) fn registry(args: &DataArgs) -> Result<Registry, Failure> {
    let folder = folder(args)?;
    let shown = term::printable(&folder.display().to_string());
    if !folder.join(DATABASE).is_file() {
        return Err(Failure::failed(format_args!(
            "{shown} is no data folder; name one with --data DIR, or make it: zumik serve --data {shown}"
        )));
    }
    Registry::open(&folder).map_err(|error| refusal(&error, &folder))
}

/// Why a data folder cannot be used, and the way out.
pub(crate) fn refusal(error: &OpenError, folder: &Path) -> Failure {
    let way_out = match error {
        OpenError::InUse(_) => "stop that one, or name another folder with --data DIR",
        OpenError::Older { .. } => FIRST_START,
        OpenError::Seal(_) => {
            "set ZUMIK_MASTER_KEY to the key of this folder, or name another with --data DIR"
        }
        _ => "name another folder with --data DIR",
    };
    let shown = folder.display().to_string();
    let why = failure::chain(error);
    match why.contains(&shown) {
        true => Failure::failed(format_args!("{why}; {way_out}")),
        false => Failure::failed(format_args!("cannot open the data folder {shown}: {why}; {way_out}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_another_user_is_told_with_the_way_out() {
        let path = PathBuf::from("/var/lib/zumik/zumik.toml");
        let said = unusable(&SettingsError::Unreadable { path, source: ErrorKind::PermissionDenied.into() });
        let said = said.to_string();
        assert!(said.contains("/var/lib/zumik/zumik.toml: permission denied"), "{said}");
        assert!(said.contains("as the user") && said.contains("--data DIR"), "{said}");
    }
}
