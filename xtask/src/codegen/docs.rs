//! Descriptions become rustdoc.

use proc_macro2::TokenStream;
use quote::quote;

/// Width of a line of documentation, without indentation and slashes.
const WIDTH: usize = 100;

/// The documentation of an item, paragraph by paragraph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doc {
    paragraphs: Vec<String>,
}

impl Doc {
    /// A text of our own. It is taken as it is.
    pub(crate) fn line(text: impl Into<String>) -> Self {
        Self { paragraphs: vec![wrap(&text.into())] }
    }

    /// A description of the document: escaped for rustdoc, the first sentence on its own.
    pub(crate) fn description(text: &str) -> Self {
        let mut paragraphs = Vec::new();
        for (index, block) in text.trim().split("\n\n").enumerate() {
            let block = escape(block.trim());
            if is_list(&block) {
                paragraphs.push(block);
                continue;
            }
            let joined = block.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            match first_sentence(&joined) {
                Some((first, rest)) if index == 0 => paragraphs.extend([wrap(first), wrap(rest)]),
                _ => paragraphs.push(wrap(&joined)),
            }
        }
        Self { paragraphs }
    }

    /// One more paragraph of our own.
    #[must_use]
    pub(crate) fn and(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(wrap(&text.into()));
        self
    }

    /// One more paragraph, if there is one.
    #[must_use]
    pub(crate) fn and_maybe(self, text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => self.and(text),
            None => self,
        }
    }

    /// The paragraphs of another text behind these.
    #[must_use]
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.paragraphs.extend(other.paragraphs);
        self
    }

    /// One more paragraph that is not wrapped: a list.
    #[must_use]
    pub(crate) fn list(mut self, items: impl IntoIterator<Item = String>) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| wrap_item(&item)).collect();
        if !items.is_empty() {
            self.paragraphs.push(items.join("\n"));
        }
        self
    }

    /// `///` lines.
    pub(crate) fn outer(&self) -> TokenStream {
        let lines = self.lines();
        quote!(#(#[doc = #lines])*)
    }

    /// `//!` lines.
    pub(crate) fn inner(&self) -> TokenStream {
        let lines = self.lines();
        quote!(#(#![doc = #lines])*)
    }

    fn lines(&self) -> Vec<String> {
        let text = self.paragraphs.join("\n\n");
        let line = |line: &str| if line.is_empty() { String::new() } else { format!(" {line}") };
        text.lines().map(line).collect()
    }
}

/// A text as one line of Markdown, for use inside another one: no line breaks, escaped.
pub(crate) fn inline(text: &str) -> String {
    escape(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The first sentence of a description.
pub(crate) fn summary(description: &str) -> String {
    let text = inline(description);
    first_sentence(&text).map_or(text.as_str(), |(first, _)| first).to_owned()
}

/// A text made to stand behind a colon: it begins in lower case, unless its first word is a name.
pub(crate) fn behind_colon(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && (second.is_lowercase() || second == ' ') => {
            first.to_lowercase().chain([second]).chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

fn is_list(block: &str) -> bool {
    block.lines().any(|line| line.starts_with("- ") || line.starts_with("1. ") || line.starts_with("```"))
}

/// Escapes what rustdoc would take for links and tags. Code spans stay as they are.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            escaped.push('`');
        }
        let in_code = index % 2 == 1;
        if in_code || part.contains("](") {
            escaped.push_str(part);
            continue;
        }
        for c in part.chars() {
            if matches!(c, '[' | ']' | '<' | '>') {
                escaped.push('\\');
            }
            escaped.push(c);
        }
    }
    escaped
}

/// Splits a paragraph behind its first sentence, if more follows.
fn first_sentence(text: &str) -> Option<(&str, &str)> {
    for (index, _) in text.match_indices(". ") {
        let (first, rest) = text.split_at(index + 1);
        let ends_here =
            first.matches('`').count() % 2 == 0 && !first.ends_with("e.g.") && !first.ends_with("i.e.");
        if ends_here {
            return Some((first, rest.trim_start()));
        }
    }
    None
}

fn wrap(text: &str) -> String {
    wrap_with(text, "")
}

fn wrap_item(text: &str) -> String {
    format!("- {}", wrap_with(text, "  "))
}

/// Wraps at [`WIDTH`]. A code span stays on one line, and no line begins with a character that starts a list.
fn wrap_with(text: &str, indent: &str) -> String {
    let mut wrapped = String::new();
    let mut width = 0;
    for word in words(text) {
        let length = word.chars().count();
        let starts_a_list = matches!(word, "-" | "+" | "*" | "#") || word.ends_with('.') && word.len() <= 3;
        if width == 0 {
            width = length;
        } else if width + 1 + length > WIDTH && !starts_a_list {
            wrapped.push('\n');
            wrapped.push_str(indent);
            width = indent.len() + length;
        } else {
            wrapped.push(' ');
            width += 1 + length;
        }
        wrapped.push_str(word);
    }
    wrapped
}

/// Splits at spaces outside of code spans.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.split(move |c: char| {
        in_code ^= c == '`';
        c == ' ' && !in_code
    })
    .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(doc: &Doc) -> String {
        doc.paragraphs.join("\n\n")
    }

    #[test]
    fn the_first_sentence_stands_alone() {
        let doc = Doc::description("Holds state. It promises\nnothing.\n\nMore.");
        assert_eq!(text(&doc), "Holds state.\n\nIt promises nothing.\n\nMore.");
    }

    #[test]
    fn brackets_are_escaped_outside_of_code() {
        let doc = Doc::description("See items[0] and `items[0]`, <b>.");
        assert_eq!(text(&doc), "See items\\[0\\] and `items[0]`, \\<b\\>.");
    }

    #[test]
    fn a_full_stop_in_code_ends_no_sentence() {
        let doc = Doc::description("Write `a. b` here. Then stop.");
        assert_eq!(text(&doc), "Write `a. b` here.\n\nThen stop.");
    }

    #[test]
    fn long_lines_are_wrapped_between_words() {
        let long = "word ".repeat(40);
        assert!(text(&Doc::description(&long)).lines().all(|line| line.len() <= WIDTH));
    }

    #[test]
    fn lists_keep_their_lines() {
        let list = "- one\n  more\n- two";
        assert_eq!(text(&Doc::description(list)), list);
    }
}
