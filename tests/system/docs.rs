//! The book holds together: every page is in its table of contents, and every link leads somewhere.

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
