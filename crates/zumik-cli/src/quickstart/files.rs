//! Which files of a folder become documents: the text below it, in the order of the paths.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ignore::{DirEntry, WalkBuilder};
use serde::Serialize;

use crate::failure::Failure;
use crate::term;

/// The contract's cap on a request body, 2 MiB, less room for everything in the request that isn't the content.
const LARGEST_CONTENT: usize = 2 * 1024 * 1024 - 32 * 1024;

/// Folders of generated or foreign files, passed over where no `.gitignore` says so.
const PASSED_OVER: [&str; 2] = ["target", "node_modules"];

/// The documents of a folder, and what did not become one.
#[derive(Debug)]
pub(crate) struct Found {
    pub texts: Vec<Text>,
    pub skipped: Vec<Skipped>,
    /// The limit that ended the walk, with files left that were not looked at.
    pub ended_by: Option<Limit>,
}

impl Found {
    /// Bytes of all documents.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.texts.iter().map(|text| text.content.len() as u64).sum()
    }
}

/// What ends a walk early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The number of documents.
    Files,
    /// The bytes of all documents together.
    Bytes,
}

/// A file that is a document.
#[derive(Debug)]
pub(crate) struct Text {
    /// Path below the folder, with `/` between its parts and a replacement character for what is not UTF-8.
    pub path: String,
    pub content: String,
}

/// A file that is none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Skipped {
    pub path: String,
    pub reason: Reason,
    /// The reason in words, with the number or the system's message that belongs to it.
    pub detail: String,
}

impl Skipped {
    fn new(path: String, reason: Reason, detail: impl fmt::Display) -> Self {
        Self { path, reason, detail: detail.to_string() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    NotText,
    Empty,
    TooLarge,
    Unreadable,
}

/// Walks a folder and reads its text files, at most `limit` of them with at most `room` bytes together.
///
/// # Errors
/// The folder cannot be read, or has not one text file.
pub(crate) fn collect(folder: &Path, limit: usize, mut room: usize) -> Result<Found, Failure> {
    let shown = term::printable(&folder.display().to_string());
    let metadata = folder
        .metadata()
        .map_err(|e| Failure::because(format_args!("cannot read the folder {shown}"), &e))?;
    if !metadata.is_dir() {
        return Err(Failure::failed(format_args!(
            "{shown} is no folder; name the folder that holds the files"
        )));
    }

    let mut found = Found { texts: Vec::new(), skipped: Vec::new(), ended_by: None };
    for entry in walk(folder) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                found.skipped.push(unreadable_entry(folder, &error));
                continue;
            }
        };
        // Links are not followed and pipes would block: only plain files are read.
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        if found.texts.len() == limit {
            found.ended_by = Some(Limit::Files);
            break;
        }
        let path = relative(folder, entry.path());
        match read(entry.path()) {
            Ok(content) if content.len() > room && found.texts.is_empty() => {
                let detail =
                    format!("{}, one prompt is at most {}", shown_bytes(content.len()), shown_bytes(room));
                found.skipped.push(Skipped::new(path, Reason::TooLarge, detail));
            }
            Ok(content) if content.len() > room => {
                found.ended_by = Some(Limit::Bytes);
                break;
            }
            Ok(content) => {
                room -= content.len();
                found.texts.push(Text { path, content });
            }
            Err((reason, detail)) => found.skipped.push(Skipped::new(path, reason, detail)),
        }
    }
    if found.texts.is_empty() {
        return Err(Failure::failed(format_args!(
            "no text file below {shown} ({}); name a folder that has some",
            term::plural(found.skipped.len() as u64, "file") + " skipped"
        )));
    }
    Ok(found)
}

fn shown_bytes(number: usize) -> String {
    term::bytes(number as u64)
}

fn walk(folder: &Path) -> ignore::Walk {
    WalkBuilder::new(folder)
        .require_git(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(|entry| entry.depth() == 0 || !is_passed_over(entry))
        .build()
}

fn is_passed_over(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
        && PASSED_OVER.iter().any(|name| entry.file_name() == *name)
}

fn relative(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn unreadable_entry(folder: &Path, error: &ignore::Error) -> Skipped {
    fn path_of(error: &ignore::Error) -> Option<&Path> {
        match error {
            ignore::Error::WithPath { path, .. } => Some(path),
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
            _ => None,
        }
    }
    let path = path_of(error).map_or_else(String::new, |path| relative(folder, path));
    let detail = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    Skipped::new(path, Reason::Unreadable, detail)
}

/// Reads one file as text, never more of it than one request can carry.
fn read(path: &Path) -> Result<String, (Reason, String)> {
    let too_large = |size: u64| {
        let allowed = shown_bytes(LARGEST_CONTENT);
        (Reason::TooLarge, format!("{} as JSON, one request carries {allowed}", term::bytes(size)))
    };
    let unreadable = |error: io::Error| (Reason::Unreadable, error.to_string());

    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    // The beginning tells most binary files, whatever their length.
    for upto in [8 * 1024, LARGEST_CONTENT as u64 + 1] {
        let rest = upto - bytes.len() as u64;
        (&mut file).take(rest).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.contains(&0) {
            return Err((Reason::NotText, "binary".to_owned()));
        }
    }
    if bytes.is_empty() {
        return Err((Reason::Empty, "empty".to_owned()));
    }
    if bytes.len() > LARGEST_CONTENT {
        return Err(too_large(size.max(bytes.len() as u64)));
    }
    let text = String::from_utf8(bytes).map_err(|_| (Reason::NotText, "not UTF-8".to_owned()))?;
    match length_as_json(&text) {
        length if length > LARGEST_CONTENT => Err(too_large(length as u64)),
        _ => Ok(text),
    }
}

/// Bytes of a text as a JSON string: quotes, backslashes and control characters take more than one.
fn length_as_json(text: &str) -> usize {
    let escapes: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0x00..=0x1f => 5,
            _ => 0,
        })
        .sum();
    text.len() + escapes + 2
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ROOM: usize = 1024 * 1024;

    fn paths(found: &Found) -> Vec<&str> {
        found.texts.iter().map(|text| text.path.as_str()).collect()
    }

    #[test]
    fn documents_come_in_the_order_of_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("docs")).unwrap();
        for name in ["z.md", "docs/b.md", "a.md", "docs/a.md"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let found = collect(folder.path(), 10, ROOM).unwrap();
        assert_eq!(paths(&found), ["a.md", "docs/a.md", "docs/b.md", "z.md"]);
        assert_eq!(found.texts[1].content, "docs/a.md");
    }

    #[test]
    fn what_is_hidden_generated_or_ignored_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for dir in ["target", ".git", "node_modules", "src"] {
            fs::create_dir(folder.path().join(dir)).unwrap();
            fs::write(folder.path().join(dir).join("file"), "text").unwrap();
        }
        fs::write(folder.path().join(".env"), "SECRET=1").unwrap();
        fs::write(folder.path().join(".gitignore"), "*.log\n").unwrap();
        fs::write(folder.path().join("build.log"), "noise").unwrap();
        let found = collect(folder.path(), 10, ROOM).unwrap();
        assert_eq!(paths(&found), ["src/file"]);
        assert!(found.skipped.is_empty());
    }

    #[test]
    fn a_file_that_is_no_document_is_reported_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        write("binary", b"\x7fELF\0\0");
        write("empty", b"");
        write("escapes", "\u{1}".repeat(400 * 1024).as_bytes());
        write("huge", &vec![b'x'; 3 * 1024 * 1024]);
        write("latin1", b"caf\xe9");
        write("text", "café".as_bytes());
        let found = collect(folder.path(), 10, ROOM).unwrap();
        assert_eq!(paths(&found), ["text"]);
        let reasons: Vec<_> = found.skipped.iter().map(|s| (s.path.as_str(), s.reason)).collect();
        assert_eq!(
            reasons,
            [
                ("binary", Reason::NotText),
                ("empty", Reason::Empty),
                ("escapes", Reason::TooLarge),
                ("huge", Reason::TooLarge),
                ("latin1", Reason::NotText),
            ]
        );
    }

    #[test]
    fn the_walk_ends_at_the_limit_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..5 {
            fs::write(folder.path().join(format!("{n}.txt")), "text").unwrap();
        }
        let found = collect(folder.path(), 3, ROOM).unwrap();
        assert_eq!(paths(&found), ["0.txt", "1.txt", "2.txt"]);
        assert_eq!(found.ended_by, Some(Limit::Files));
        assert_eq!(collect(folder.path(), 5, ROOM).unwrap().ended_by, None);

        let found = collect(folder.path(), 5, 9).unwrap();
        assert_eq!((found.texts.len(), found.ended_by), (2, Some(Limit::Bytes)));
    }

    #[test]
    fn a_file_that_fills_more_than_the_prompt_gives_way_to_smaller_ones() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "too much for this prompt").unwrap();
        fs::write(folder.path().join("b.txt"), "fits").unwrap();
        let found = collect(folder.path(), 5, 9).unwrap();
        assert_eq!(paths(&found), ["b.txt"]);
        assert_eq!((found.skipped[0].path.as_str(), found.skipped[0].reason), ("a.txt", Reason::TooLarge));
    }

    #[test]
    fn a_folder_without_text_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        let error = collect(folder.path(), 3, ROOM).unwrap_err().to_string();
        assert!(error.starts_with("no text file below"), "{error}");
        assert!(error.contains("1 file skipped"), "{error}");
        let error = collect(&folder.path().join("empty"), 3, ROOM).unwrap_err().to_string();
        assert!(error.contains("is no folder"), "{error}");
        let error = collect(&folder.path().join("nowhere"), 3, ROOM).unwrap_err().to_string();
        assert!(error.contains("cannot read the folder"), "{error}");
    }

    #[test]
    fn the_length_as_json_is_that_of_the_encoder() {
        for text in
            ["plain", "\"quoted\" \\ and\n\r\t", "\u{0}\u{1}\u{8}\u{c}\u{1f}\u{7f}", "naïve 日本語 🎈"]
        {
            assert_eq!(length_as_json(text), serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
    }
}
