//! Commands about inference: aliases, hints, usage, conversations, responses of `/v1`, and batches with their worker.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;
use zumik_server::store::{BatchPage, Continued, NewAliasRelease};
use zumik_types::{
    AgentHints, CreateBatchRequest, CreateConversationRequest, HintRouting, JsonObject, Qos, QosClass,
    UsageDimension, V1ResponseStatus,
};

use crate::command::{Key, key, pick};
use crate::known::{Known, Pick};
use crate::request::{LineEnd, Request, Write};

const ENDPOINT: &str = "/v1/chat/completions";

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Inference {
    Release { alias: &'static str, weight: u64, policy: Option<&'static str>, key: Key },
    Hints { deadline: u64, region: bool, key: Key },
    DeleteHints(Pick),
    RecordUsage(Vec<u64>),
    Usage { hours: i64, group: Option<UsageDimension> },
    Conversation { metadata: bool, key: Key },
    DeleteConversation(Pick),
    Respond { after: After, status: V1ResponseStatus, items: bool, lease: Option<Index> },
    End { of: Pick, begun: bool },
    CancelResponse(Pick, Key),
    DeleteResponse(Pick),
    History { after: After, most: usize },
    Input { lines: usize, fault: Option<Index>, key: Key },
    Batch { over: Pick, metadata: bool, key: Key },
    CancelBatch(Pick, Key),
    ListBatches { after: Option<Pick>, limit: Option<u32> },
    AdvanceBatches,
    Claim(u32),
    Settle(Index, LineEnd),
    RenewLines(Vec<Index>),
    ReleaseLines(Vec<Index>),
    NextBatchWork,
}

/// What a response continues.
#[derive(Debug, Clone, Copy)]
pub(crate) enum After {
    Nothing,
    Response(Pick),
    Conversation(Pick),
}

/// The strategy of these commands.
pub(crate) fn inference() -> impl Strategy<Value = Inference> {
    prop_oneof![3 => accounts(), 6 => responses(), 9 => batches()]
}

fn accounts() -> impl Strategy<Value = Inference> {
    let alias = select(vec!["code.fast", "Code.fast", "größe", "auto"]);
    let policy = option::of(select(vec!["policy_2", "policy_3"]));
    let group = option::of(select(vec![
        UsageDimension::Provider,
        UsageDimension::Region,
        UsageDimension::Key,
        UsageDimension::QosClass,
    ]));
    prop_oneof![
        3 => (alias, 1..100_u64, policy, key())
            .prop_map(|(alias, weight, policy, key)| Inference::Release { alias, weight, policy, key }),
        3 => (1..9_000_u64, any::<bool>(), key())
            .prop_map(|(deadline, region, key)| Inference::Hints { deadline, region, key }),
        1 => pick().prop_map(Inference::DeleteHints),
        4 => vec(0..40_u64, 1..6).prop_map(Inference::RecordUsage),
        3 => (1..60_i64, group).prop_map(|(hours, group)| Inference::Usage { hours, group }),
    ]
}

fn after() -> impl Strategy<Value = After> {
    prop_oneof![
        2 => Just(After::Nothing),
        4 => pick().prop_map(After::Response),
        4 => pick().prop_map(After::Conversation),
    ]
}

fn responses() -> impl Strategy<Value = Inference> {
    use V1ResponseStatus::{Completed, Failed, InProgress, Incomplete, Queued};
    let status = select(vec![Completed, Completed, Completed, Incomplete, InProgress, Queued, Failed]);
    let lease = option::weighted(0.2, any::<Index>());
    prop_oneof![
        3 => (any::<bool>(), key())
            .prop_map(|(metadata, key)| Inference::Conversation { metadata, key }),
        1 => pick().prop_map(Inference::DeleteConversation),
        8 => (after(), status, proptest::bool::weighted(0.9), lease)
            .prop_map(|(after, status, items, lease)| Inference::Respond { after, status, items, lease }),
        3 => (pick(), any::<bool>()).prop_map(|(of, begun)| Inference::End { of, begun }),
        2 => (pick(), key()).prop_map(|(of, key)| Inference::CancelResponse(of, key)),
        1 => pick().prop_map(Inference::DeleteResponse),
        4 => (after(), select(vec![40, 400, 1 << 20]))
            .prop_map(|(after, most)| Inference::History { after, most }),
    ]
}

fn batches() -> impl Strategy<Value = Inference> {
    let end = prop_oneof![
        6 => select(vec![200_u16, 200, 200, 400]).prop_map(LineEnd::Answered),
        1 => Just(LineEnd::Failed),
        1 => (0..90_i64).prop_map(LineEnd::Again),
        1 => (0..90_i64).prop_map(LineEnd::Rests),
    ];
    let some = || vec(any::<Index>(), 1..4);
    prop_oneof![
        3 => (0..6_usize, option::weighted(0.2, any::<Index>()), key())
            .prop_map(|(lines, fault, key)| Inference::Input { lines, fault, key }),
        4 => (pick(), any::<bool>(), key())
            .prop_map(|(over, metadata, key)| Inference::Batch { over, metadata, key }),
        1 => (pick(), key()).prop_map(|(of, key)| Inference::CancelBatch(of, key)),
        1 => (option::of(pick()), option::of(1..4_u32))
            .prop_map(|(after, limit)| Inference::ListBatches { after, limit }),
        6 => Just(Inference::AdvanceBatches),
        6 => (1..9_u32).prop_map(Inference::Claim),
        12 => (any::<Index>(), end).prop_map(|(line, end)| Inference::Settle(line, end)),
        1 => some().prop_map(Inference::RenewLines),
        1 => some().prop_map(Inference::ReleaseLines),
        1 => Just(Inference::NextBatchWork),
    ]
}

impl Inference {
    /// The request that the command is now, for a project.
    pub(crate) fn request(&self, known: &Known, foreign: bool) -> Option<Request> {
        let response = |pick: Pick| known.pick(foreign, pick, |of| &of.v1_responses);
        let batch = |pick: Pick| known.pick(foreign, pick, |of| &of.batches);
        let continued = |after: After| match after {
            After::Nothing => None,
            After::Response(pick) => response(pick).map(Continued::Response),
            After::Conversation(pick) => {
                known.pick(foreign, pick, |of| &of.conversations).map(Continued::Conversation)
            }
        };
        let lines = |lines: &[Index]| {
            let held = known.lines;
            (held > 0).then(|| lines.iter().map(|line| line.index(held)).collect::<Vec<_>>())
        };
        let (write, key) = match self {
            Self::Release { alias, weight, policy, key } => {
                (Write::Release(release(alias, *weight, *policy)), key)
            }
            Self::Hints { deadline, region, key } => {
                let qos = Qos::new().class(QosClass::Interactive).deadline_ms(*deadline);
                let mut hints = AgentHints::new().version("2026-06-01").qos(qos);
                if *region {
                    hints = hints.routing(HintRouting::new().region_policy("eu_only"));
                }
                (Write::Hints(Box::new(hints)), key)
            }
            Self::Conversation { metadata, key } => {
                let mut request = CreateConversationRequest::new();
                if *metadata {
                    request = request.metadata(members());
                }
                (Write::Conversation(request), key)
            }
            Self::Input { lines, fault, key } => {
                let content = input(*lines, fault.as_ref().map(|fault| fault.index((*lines).max(1))));
                (Write::File { name: "requests.jsonl".to_owned(), content, hours: None }, key)
            }
            Self::Batch { over, metadata, key } => {
                let file = known.pick(foreign, *over, |of| &of.files)?;
                let mut request = CreateBatchRequest::new(file, ENDPOINT);
                if *metadata {
                    request = request.metadata(members());
                }
                (Write::Batch(request), key)
            }
            Self::CancelBatch(of, key) => (Write::CancelBatch(batch(*of)?), key),
            Self::CancelResponse(of, key) => (Write::CancelV1(response(*of)?), key),
            Self::DeleteHints(of) => {
                return known.pick(foreign, *of, |of| &of.hints).map(Request::DeleteHints);
            }
            Self::RecordUsage(numbers) => return Some(Request::RecordUsage(numbers.clone())),
            Self::Usage { hours, group } => {
                return Some(Request::Usage { hours: *hours, group: group.clone() });
            }
            Self::DeleteConversation(of) => {
                return known.pick(foreign, *of, |of| &of.conversations).map(Request::DeleteConversation);
            }
            Self::Respond { after, status, items, lease } => {
                let leases = known.of(foreign).leases;
                return Some(Request::Respond {
                    after: continued(*after),
                    status: status.clone(),
                    items: *items,
                    lease: lease.filter(|_| leases > 0).map(|lease| lease.index(leases)),
                });
            }
            Self::End { of, begun } => return response(*of).map(|id| Request::EndV1 { id, begun: *begun }),
            Self::DeleteResponse(of) => return response(*of).map(Request::DeleteV1),
            Self::History { after, most } => {
                return continued(*after).map(|of| Request::History { of, most: *most });
            }
            Self::ListBatches { after, limit } => {
                let after = after.and_then(batch);
                return Some(Request::ListBatches(BatchPage { after, limit: *limit }));
            }
            Self::AdvanceBatches => return Some(Request::AdvanceBatches),
            Self::Claim(most) => return Some(Request::Claim(*most)),
            Self::Settle(line, end) => {
                return lines(&[*line]).map(|line| Request::Settle(line[0], *end));
            }
            Self::RenewLines(of) => return lines(of).map(Request::RenewLines),
            Self::ReleaseLines(of) => return lines(of).map(Request::ReleaseLines),
            Self::NextBatchWork => return Some(Request::NextBatchWork),
        };
        Some(Request::Write(write, key.map(str::to_owned)))
    }
}

fn members() -> JsonObject {
    JsonObject::from_iter([("for".to_owned(), json!({ "n": [1, null] }))])
}

fn release(alias: &str, weight: u64, policy: Option<&str>) -> NewAliasRelease {
    let target = |model: &str, weight: u64| {
        let target = json!({
            "execution_profile": "managed_provider", "provider": "openai", "model": model,
            "model_revision": null, "weight": weight,
        });
        serde_json::from_value(target).unwrap()
    };
    NewAliasRelease {
        alias: alias.to_owned(),
        policy_revision: policy.map(str::to_owned),
        first_policy_revision: "policy_1".to_owned(),
        capability_manifest_revision: "cap_1".to_owned(),
        targets: vec![target("gpt-4o", weight), target("gpt-4o-mini", 100 - weight)],
    }
}

/// The lines of a batch, one of them perhaps wrong.
fn input(lines: usize, fault: Option<usize>) -> Vec<u8> {
    let mut text = String::new();
    for line in 0..lines {
        let id = if fault == Some(line) { String::new() } else { format!("r{line}") };
        let body = json!({ "model": "auto", "messages": [{ "role": "user", "content": id }] });
        let request = json!({ "custom_id": id, "method": "POST", "url": ENDPOINT, "body": body });
        writeln!(text, "{request}").unwrap();
    }
    text.into_bytes()
}
