//! The heuristic of `auto.semantic`: whether a prompt is about code (contract `concepts.md`, "Model aliases").

/// Endings of files that hold code.
const ENDINGS: [&str; 32] = [
    "bash", "c", "cc", "cpp", "cs", "css", "dart", "ex", "go", "h", "hpp", "hs", "html", "java", "js",
    "json", "jsx", "kt", "lua", "php", "py", "rb", "rs", "scala", "sh", "sql", "swift", "toml", "ts", "tsx",
    "yaml", "yml",
];

/// Whether a prompt holds a fenced block or the path of a file with code.
pub(crate) fn is_about_code(prompt: &str) -> bool {
    prompt.contains("```") || prompt.split(|c: char| !is_part_of_path(c)).any(is_code_path)
}

fn is_part_of_path(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '~' | '@')
}

/// A name with a known ending, such as `main.rs` or `src/engine/mod.rs`.
fn is_code_path(word: &str) -> bool {
    let word = word.trim_end_matches('.');
    let name = word.rsplit('/').next().unwrap_or_default();
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    let ending = ending.to_ascii_lowercase();
    stem.chars().any(char::is_alphanumeric)
        && ENDINGS.contains(&&*ending)
        // `e.g` and `i.e.c` are no files; a single letter as the ending needs a longer name before it, or a folder.
        && (ending.len() > 1 || stem.len() > 1 || word.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_from_prose() {
        for code in [
            "Fix this:\n```rust\nfn main() {}\n```",
            "Why does src/engine/mod.rs not compile?",
            "Look at `main.py`.",
            "see ./a/b.c",
            "tests/test_api.TS:12",
        ] {
            assert!(is_about_code(code), "{code}");
        }
        for prose in [
            "",
            "Write a poem.",
            "and/or, e.g. on 3.5.2026 at zumik.ai, i.e. today...",
            "https://example.com/page",
        ] {
            assert!(!is_about_code(prose), "{prose}");
        }
    }
}
