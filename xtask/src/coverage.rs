//! `cargo xtask coverage`: what every operation of the contract has: its evidence, a method in the client, a route in the
//! server, a documented sample, a request in the tests. A hole is an error.
//!
//! Sources are read as Rust tokens, so comments do not count and the layout does not matter:
//!
//! - client: an `impl Endpoint` names the operation's constant, and a method gives a call of that endpoint;
//! - server: the table of routes names the constant;
//! - sample: the OpenAPI document has one for the request or the success (or the success is bytes);
//! - request: the match that makes a valid request of each operation has an arm for its id. The whole-system tests walk
//!   the table of operations with it; `tests/system/owner.rs` wants each of them served.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::visit::{self, Visit};

use crate::codegen::{self, OperationFacts};
use crate::process::{Result, workspace};

const CLIENT: &str = "crates/zumik-client/src";
const ROUTES: &str = "crates/zumik-server/src/http/routes.rs";
const REQUESTS: &str = "tests/src/operations.rs";

/// Prints the table and fails on a hole.
pub(crate) fn coverage() -> Result {
    let root = workspace();
    let client = Client::read(&root.join(CLIENT))?;
    let routes = words(&root.join(ROUTES))?;
    let requests = arms(parse(&root.join(REQUESTS))?);
    let rows: Vec<Row> = codegen::operations(root)?
        .into_iter()
        .map(|operation| Row {
            client: client.has(&operation),
            server: routes.contains(&operation.constant),
            sample: operation.has_sample,
            request: requests.contains(&operation.id),
            operation,
        })
        .collect();
    let holes = rows.iter().filter(|row| !row.is_complete()).count();
    print!("{}", table(&rows));
    if holes == 0 {
        return Ok(());
    }
    Err(format!("{holes} of {} operations have a hole", rows.len()).into())
}

struct Row {
    operation: OperationFacts,
    client: bool,
    server: bool,
    sample: bool,
    request: bool,
}

impl Row {
    fn is_complete(&self) -> bool {
        self.client && self.server && self.sample && self.request
    }
}

fn table(rows: &[Row]) -> String {
    let width = |text: fn(&Row) -> &str| rows.iter().map(|row| text(row).len()).max().unwrap_or(0);
    let (ids, routes) = (width(|row| &row.operation.id), width(|row| &row.operation.route));
    let mark = |has: bool| if has { "yes" } else { "NO" };
    let mut table =
        format!("{:ids$}  {:routes$}  evidence  client  server  sample  request\n", "operation", "route");
    for Row { operation, client, server, sample, request } in rows {
        let OperationFacts { id, route, is_inferred, .. } = operation;
        let evidence = if *is_inferred { "I" } else { "D" };
        let [client, server, sample, request] = [client, server, sample, request].map(|has| mark(*has));
        let _ = writeln!(
            table,
            "{id:ids$}  {route:routes$}  {evidence:8}  {client:6}  {server:6}  {sample:6}  {request}"
        );
    }
    table
}

/// What the client's sources say.
#[derive(Debug, Default)]
struct Client {
    /// Constants that an `impl Endpoint` names, with the endpoint.
    endpoints: BTreeSet<(String, String)>,
    /// Names of methods with every identifier of what they give.
    methods: BTreeSet<(String, String)>,
}

impl Client {
    fn read(folder: &Path) -> Result<Self> {
        let mut client = Self::default();
        for path in rust_files(folder)? {
            client.visit_file(&parse(&path)?);
        }
        Ok(client)
    }

    fn has(&self, operation: &OperationFacts) -> bool {
        let of_this = self.endpoints.iter().filter(|(constant, _)| *constant == operation.constant);
        let method = &operation.client_method;
        of_this.into_iter().any(|(_, endpoint)| self.methods.contains(&(method.clone(), endpoint.clone())))
    }
}

impl<'ast> Visit<'ast> for Client {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = |path: &syn::Path| path.segments.last().map(|segment| segment.ident.to_string());
        let is_endpoint =
            item.trait_.as_ref().and_then(|(path, _)| of(path)).is_some_and(|name| name == "Endpoint");
        if let (true, syn::Type::Path(endpoint)) = (is_endpoint, &*item.self_ty) {
            for member in &item.items {
                if let (syn::ImplItem::Const(constant), Some(endpoint)) = (member, of(&endpoint.path)) {
                    let names = flat(constant.expr.to_token_stream());
                    self.endpoints.extend(names.into_iter().map(|name| (name, endpoint.clone())));
                }
            }
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        let gives = flat(function.sig.output.to_token_stream());
        let name = function.sig.ident.to_string();
        self.methods.extend(gives.into_iter().map(|gives| (name.clone(), gives)));
    }
}

fn parse(path: &Path) -> Result<syn::File> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Every identifier and literal of a file, its unit tests left out.
fn words(path: &Path) -> Result<BTreeSet<String>> {
    Ok(words_of(parse(path)?))
}

fn words_of(file: syn::File) -> BTreeSet<String> {
    let is_test = |item: &&syn::Item| matches!(item, syn::Item::Mod(module) if module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")));
    let items = file.items.iter().filter(|item| !is_test(item));
    items.flat_map(|item| flat(item.to_token_stream())).collect()
}

/// Every text that an arm of a match stands for.
fn arms(file: syn::File) -> BTreeSet<String> {
    struct Arms(BTreeSet<String>);
    impl<'ast> Visit<'ast> for Arms {
        fn visit_arm(&mut self, arm: &'ast syn::Arm) {
            let unquoted = |word: String| Some(word.strip_prefix('"')?.strip_suffix('"')?.to_owned());
            self.0.extend(flat(arm.pat.to_token_stream()).into_iter().filter_map(unquoted));
            visit::visit_arm(self, arm);
        }
    }
    let mut arms = Arms(BTreeSet::new());
    arms.visit_file(&file);
    arms.0
}

/// The identifiers and literals of a stream, those in groups included.
fn flat(tokens: TokenStream) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => words.append(&mut flat(group.stream())),
            TokenTree::Ident(ident) => {
                words.insert(ident.to_string());
            }
            TokenTree::Literal(literal) => {
                words.insert(literal.to_string());
            }
            TokenTree::Punct(_) => {}
        }
    }
    words
}

/// The Rust files below a folder.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(rust_files(&entry.path())?);
        } else if entry.path().extension().is_some_and(|ending| ending == "rs") {
            files.push(entry.path());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(constant: &str, client_method: &str) -> OperationFacts {
        let (constant, client_method) = (constant.to_owned(), client_method.to_owned());
        let (id, route) = (String::new(), String::new());
        OperationFacts { id, constant, route, client_method, is_inferred: false, has_sample: true }
    }

    #[test]
    fn a_method_of_the_client_needs_an_endpoint_and_a_call_of_it() {
        let source = "
            impl Endpoint for CreateThing {
                const OPERATION: &'static Operation = &operations::CREATE_THING;
            }
            impl<'c> Things<'c> {
                pub fn create(&self) -> Call<'c, CreateThing> { Call::new(self.client, CreateThing {}) }
            }
            impl Endpoint for DeleteThing {
                // No method gives a call of it.
                const OPERATION: &'static Operation = &operations::DELETE_THING;
            }
        ";
        let mut client = Client::default();
        client.visit_file(&syn::parse_str(source).unwrap());
        assert!(client.has(&facts("CREATE_THING", "create")));
        assert!(!client.has(&facts("CREATE_THING", "make")));
        assert!(!client.has(&facts("DELETE_THING", "delete")));
        assert!(!client.has(&facts("LIST_THINGS", "create")));
    }

    #[test]
    fn the_page_about_evidence_lists_every_inferred_operation() {
        let root = workspace();
        let page = fs::read_to_string(root.join("docs/reference/evidence.md")).unwrap();
        let listed = page.lines().filter_map(|line| line.strip_prefix("- `")?.strip_suffix('`'));
        let operations = codegen::operations(root).unwrap();
        let inferred = operations.iter().filter(|operation| operation.is_inferred);
        let inferred: Vec<_> = inferred.map(|operation| operation.route.as_str()).collect();
        assert_eq!(listed.collect::<Vec<_>>(), inferred);
    }

    #[test]
    fn only_an_arm_of_a_match_makes_a_request() {
        let source = r#"
            fn request(id: &str) -> Body {
                match id {
                    "createThing" => Body::Json(json!({ "name": "deleteThing" })),
                    "retrieveThing" | "listThings" => Body::Empty,
                    other => panic!("updateThing"),
                }
            }
        "#;
        let expected = ["createThing", "listThings", "retrieveThing"].map(str::to_owned);
        assert_eq!(arms(syn::parse_str(source).unwrap()), BTreeSet::from(expected));
    }

    #[test]
    fn comments_and_unit_tests_do_not_count_as_routes() {
        let source = "
            const ROUTES: &[Route] = routes! { CREATE_THING => things::create };
            // LIST_THINGS
            #[cfg(test)]
            mod tests { fn test() { DELETE_THING } }
        ";
        let words = words_of(syn::parse_str(source).unwrap());
        assert!(words.contains("CREATE_THING"));
        assert!(!words.contains("LIST_THINGS"));
        assert!(!words.contains("DELETE_THING"));
    }
}
