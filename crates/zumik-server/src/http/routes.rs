//! The table of what answers which operation, and finding the row for a path.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method};
use percent_encoding::percent_decode_str;
use zumik_types::{Scope, TraceId, operations};

use super::call::Call;
use super::handlers::{
    agent_hints, artifacts, batches, branches, bundles, chat, conversations, diagnostics, embeddings, events,
    files, merges, model_aliases, models, purge, responses, sessions, snapshots, token_counts, usage,
    v1_responses,
};
use super::{ApiError, Reply, probes};
use crate::app::App;

/// What a handler gives: a reply, later.
pub(crate) type Handled<'a> = Pin<Box<dyn Future<Output = Result<Reply, ApiError>> + Send + 'a>>;

/// What answers a request without a key. It is told under which trace.
type OpenHandler = for<'a> fn(&'a App, &'a TraceId) -> Handled<'a>;

/// One row: what a method and a path are answered with.
pub(crate) struct Route {
    /// Id of the operation, or name of the probe: for log and metrics.
    pub(crate) name: &'static str,
    method: &'static str,
    path: &'static str,
    pub(crate) run: Run,
}

/// Who may ask, and what answers.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Anyone.
    Open(OpenHandler),
    /// A key with this scope.
    Keyed(Scope, for<'a> fn(&'a mut Call) -> Handled<'a>),
}

macro_rules! routes {
    ($($operation:ident => $handler:path,)*) => {
        &[$(Route {
            name: operations::$operation.id,
            method: operations::$operation.method.as_str(),
            path: operations::$operation.path,
            run: Run::Keyed(operations::$operation.scope, |call| Box::pin($handler(call))),
        }),*]
    };
}

/// Every operation that needs a key. `every_operation_has_a_route` fails when one is missing.
const OPERATIONS: &[Route] = routes! {
    CREATE_ARTIFACT => artifacts::create,
    LIST_ARTIFACTS => artifacts::list,
    RETRIEVE_ARTIFACT => artifacts::retrieve,
    DELETE_ARTIFACT => artifacts::delete,
    CREATE_BUNDLE => bundles::create,
    RETRIEVE_BUNDLE => bundles::retrieve,
    DELETE_BUNDLE => bundles::delete,
    CREATE_SESSION => sessions::create,
    RETRIEVE_SESSION => sessions::retrieve,
    UPDATE_SESSION => sessions::update,
    DELETE_SESSION => sessions::delete,
    FORK_BRANCH => branches::fork,
    LIST_BRANCHES => branches::list,
    RETRIEVE_BRANCH => branches::retrieve,
    APPEND_EVENT => events::append,
    LIST_EVENTS => events::list,
    MERGE_BRANCH => merges::merge,
    CREATE_SNAPSHOT => snapshots::create,
    LIST_SNAPSHOTS => snapshots::list,
    RETRIEVE_SNAPSHOT => snapshots::retrieve,
    CREATE_RESPONSE => responses::create,
    RETRIEVE_RESPONSE => responses::retrieve,
    CANCEL_RESPONSE => responses::cancel,
    CREATE_DIAGNOSTIC => diagnostics::create,
    RETRIEVE_DIAGNOSTIC => diagnostics::retrieve,
    RETRIEVE_DIAGNOSTIC_REPORT => diagnostics::report,
    CREATE_PURGE_JOB => purge::create,
    RETRIEVE_PURGE_JOB => purge::retrieve,
    RETRIEVE_PURGE_RECEIPT => purge::receipt,
    LIST_RECEIPT_KEYS => purge::receipt_keys,
    COUNT_TOKENS => token_counts::count,
    CREATE_CHAT_COMPLETION => chat::create,
    CREATE_EMBEDDINGS => embeddings::create,
    LIST_MODELS => models::list,
    RETRIEVE_MODEL => models::retrieve,
    CREATE_V1_RESPONSE => v1_responses::create,
    RETRIEVE_V1_RESPONSE => v1_responses::retrieve,
    DELETE_V1_RESPONSE => v1_responses::delete,
    CANCEL_V1_RESPONSE => v1_responses::cancel,
    LIST_V1_INPUT_ITEMS => v1_responses::input_items,
    COUNT_V1_INPUT_TOKENS => v1_responses::input_tokens,
    COMPACT_V1_RESPONSE => v1_responses::compact,
    CREATE_CONVERSATION => conversations::create,
    RETRIEVE_CONVERSATION => conversations::retrieve,
    DELETE_CONVERSATION => conversations::delete,
    UPLOAD_FILE => files::upload,
    LIST_FILES => files::list,
    RETRIEVE_FILE => files::retrieve,
    DELETE_FILE => files::delete,
    RETRIEVE_FILE_CONTENT => files::content,
    CREATE_BATCH => batches::create,
    LIST_BATCHES => batches::list,
    RETRIEVE_BATCH => batches::retrieve,
    CANCEL_BATCH => batches::cancel,
    RETRIEVE_USAGE => usage::retrieve,
    LIST_MODEL_ALIASES => model_aliases::list,
    RETRIEVE_MODEL_ALIAS => model_aliases::retrieve,
    CREATE_MODEL_ALIAS => model_aliases::create,
    CREATE_AGENT_HINTS => agent_hints::create,
    RETRIEVE_AGENT_HINTS => agent_hints::retrieve,
    DELETE_AGENT_HINTS => agent_hints::delete,
};

/// What needs no key: the health probe of the contract, and what this server adds for its operators.
const PROBES: &[Route] = &[
    Route {
        name: operations::HEALTHZ.id,
        method: operations::HEALTHZ.method.as_str(),
        path: operations::HEALTHZ.path,
        run: Run::Open(|app, trace| Box::pin(probes::healthz(app, trace))),
    },
    Route {
        name: "readyz",
        method: "GET",
        path: "/readyz",
        run: Run::Open(|app, trace| Box::pin(probes::readyz(app, trace))),
    },
    Route {
        name: "openapi",
        method: "GET",
        path: "/openapi.json",
        run: Run::Open(|_, trace| Box::pin(probes::openapi(trace))),
    },
];

/// All rows, by path.
pub(crate) struct Routes(matchit::Router<Arc<Methods>>);

/// The rows of one path.
struct Methods {
    rows: Vec<&'static Route>,
    allow: HeaderValue,
}

/// The ids in a path, percent-decoded, in their order.
pub(crate) struct PathIds(Vec<String>);

impl PathIds {
    /// The id at `position`; empty when the path has fewer.
    pub(crate) fn get(&self, position: usize) -> &str {
        self.0.get(position).map_or("", String::as_str)
    }
}

impl Routes {
    /// The table as it is looked up.
    ///
    /// # Errors
    /// Two paths of the table that cannot be told apart.
    pub(crate) fn new() -> Result<Self, matchit::InsertError> {
        let mut by_path = BTreeMap::<&str, Vec<&'static Route>>::new();
        for route in PROBES.iter().chain(OPERATIONS) {
            by_path.entry(route.path).or_default().push(route);
        }
        let mut router = matchit::Router::new();
        for (path, rows) in by_path {
            let mut methods: Vec<_> = rows.iter().map(|route| route.method).collect();
            if methods.contains(&"GET") {
                methods.push("HEAD");
            }
            methods.sort_unstable();
            let allow = HeaderValue::from_str(&methods.join(", ")).unwrap_or(HeaderValue::from_static("GET"));
            // Names of models hold slashes: everything behind the last part that is fixed is one.
            let path = if path == operations::RETRIEVE_MODEL.path { "/v1/models/{*model_id}" } else { path };
            router.insert(path, Arc::new(Methods { rows, allow }))?;
        }
        Ok(Self(router))
    }

    /// The row of a request. A HEAD is a GET whose body stays at home.
    ///
    /// # Errors
    /// 404 for an unknown path, 405 for another method.
    pub(crate) fn find(&self, head: &Parts) -> Result<(&'static Route, PathIds), ApiError> {
        let found = self.0.at(head.uri.path()).map_err(|_| ApiError::unknown_path())?;
        let method = if head.method == Method::HEAD { "GET" } else { head.method.as_str() };
        let Some(route) = found.value.rows.iter().find(|route| route.method == method) else {
            return Err(ApiError::method_not_allowed(&head.method, found.value.allow.clone()));
        };
        // What is no UTF-8 is kept with a replacement character, which no id has: it names nothing.
        let ids = found.params.iter().map(|(_, id)| percent_decode_str(id).decode_utf8_lossy().into_owned());
        Ok((route, PathIds(ids.collect())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::{Request, StatusCode};

    use super::*;

    fn find(method: &str, path: &str) -> Result<(&'static str, Vec<String>), ApiError> {
        let head = Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0;
        let (route, ids) = Routes::new().unwrap().find(&head)?;
        Ok((route.name, ids.0))
    }

    #[test]
    fn every_operation_has_a_route() {
        let routes: BTreeSet<_> = PROBES.iter().chain(OPERATIONS).map(|route| route.name).collect();
        for operation in operations::ALL {
            assert!(routes.contains(operation.id), "no handler for {}", operation.id);
        }
        assert_eq!(routes.len(), PROBES.len() + OPERATIONS.len(), "an operation has two routes");
    }

    #[test]
    fn ids_of_a_path_are_decoded() {
        assert_eq!(
            find("GET", "/v2/sessions/ses_1/branches/br_%C3%A4?limit=1").unwrap(),
            ("retrieveBranch", vec!["ses_1".to_owned(), "br_ä".to_owned()])
        );
        assert_eq!(find("HEAD", "/v2/artifacts/a%2Fb%00").unwrap().1, ["a/b\0"]);
        assert_eq!(find("GET", "/v2/artifacts/%ff").unwrap().1, ["\u{fffd}"]);
        for model in ["accounts/fireworks/models/llama", "accounts%2Ffireworks%2fmodels/llama"] {
            let (route, ids) = find("GET", &format!("/v1/models/{model}")).unwrap();
            assert_eq!((route, &*ids[0]), ("retrieveModel", "accounts/fireworks/models/llama"));
        }
    }

    #[test]
    fn an_unknown_path_and_another_method_are_told_apart() {
        for path in ["/", "/v2", "/v2/artifacts/", "/v2//artifacts", "/v2/artifacts/a/b", "/V2/artifacts"] {
            assert_eq!(find("GET", path).unwrap_err().status(), StatusCode::NOT_FOUND, "{path}");
        }
        let refused = find("PATCH", "/v2/artifacts").unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()["allow"], "GET, HEAD, POST");
    }
}
