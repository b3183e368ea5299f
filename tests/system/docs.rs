//! The book holds together: every page is in its table of contents, every link leads somewhere, and the table of errors is
//! the one of the server.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the book.
fn book() -> PathBuf {
    workspace().join("docs")
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace")
}

/// Every Markdown file below a folder.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the book") {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of a page's relative links, without their fragments.
fn links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).expect("a page of the book");
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let relative = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    relative.map(|target| target.split('#').next().unwrap_or(target).to_owned()).collect()
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let summary = book().join("SUMMARY.md");
    let listed: Vec<_> = links(&summary).iter().map(|target| book().join(target)).collect();
    let unlisted: Vec<_> =
        pages(&book()).into_iter().filter(|page| *page != summary && !listed.contains(page)).collect();
    assert!(unlisted.is_empty(), "not in docs/SUMMARY.md: {unlisted:?}");
}

#[test]
fn every_link_of_the_documents_leads_to_a_file() {
    let mut documents = pages(&book());
    documents.extend(["README.md", "CHANGELOG.md"].map(|name| workspace().join(name)));
    let mut broken = Vec::new();
    for document in documents {
        let folder = document.parent().expect("a file is in a folder");
        let missing = links(&document).into_iter().filter(|target| !folder.join(target).exists());
        broken.extend(missing.map(|target| format!("{}: {target}", document.display())));
    }
    assert!(broken.is_empty(), "broken links: {broken:#?}");
}

#[test]
fn the_table_of_errors_has_every_code_of_the_server_and_no_other() {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).expect("a file of the workspace");
    let server = read("crates/zumik-server/src/http/error.rs");
    let given = server.split(".code(\"").skip(1).filter_map(|rest| rest.split('"').next());
    let given: BTreeSet<&str> = given.collect();
    assert!(given.len() > 10, "{given:?}");
    let page = read("docs/reference/errors-and-retries.md");
    let rows = page.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = rows.filter(|row| row.get(1).is_some_and(|status| status.parse::<u16>().is_ok()));
    let told: BTreeSet<String> =
        rows.map(|row| row[3].replace('`', "")).filter(|code| code != "null").collect();
    assert!(told.iter().eq(&given), "in the table: {told:?}\nin the server: {given:?}");
}
