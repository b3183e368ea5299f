//! Agent hints: in the body, where a mistake is told, and in headers, where it is ignored (contract `concepts.md`,
//! "Agent hints").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zumik_types::{
    AgentHints, BundleId, DegradePolicy, Extra, HintReuse, HintRouting, HintSafety, HintSession, HintState,
    Qos, QosClass, ReusePreference, ReuseScope,
};

use crate::engine::{Routing, qos};
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::input::{Fields, object_of};

/// What the caller of a generation wishes.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Wishes {
    /// How the call is served.
    pub(super) qos: Qos,
    /// Where it may go.
    pub(super) routing: Routing,
}

impl Wishes {
    /// What these leave open, hints fill. Where a call may go, each of them narrows.
    fn and(self, qos: Option<Qos>, routing: Option<&HintRouting>) -> Self {
        let Self { qos: wanted, routing: mut narrowed } = self;
        if let Some(hints) = routing {
            narrowed.narrow_by(hints);
        }
        Self { qos: qos::or(wanted, qos.unwrap_or_default()), routing: narrowed }
    }
}

/// What a generation asks for: `qos` of the body, else of the body's hints, else of the stored hints that
/// `Agent-Hints-Ref` names, else of the header `Agent-Hints`; and the `routing` of hints.
///
/// Where the hints that the reference names are there, the header `Agent-Hints` is not looked at. The other sections have
/// no effect; in a body they are checked all the same.
pub(super) async fn wanted(call: &Call, body: Option<&Fields<'_, '_>>) -> Result<Wishes, ApiError> {
    let mut wanted = Wishes::default();
    if let Some(body) = body {
        if let Some(fields) = body.optional_object("qos")? {
            wanted.qos = read_qos(&fields)?;
        }
        if let Some(fields) = body.optional_object("agent_hints")? {
            let hints = read(&fields)?;
            wanted = wanted.and(hints.qos, hints.routing.as_ref());
        }
    }
    if let Some(stored) = call.stored_hints().await? {
        return Ok(wanted.and(stored.qos, stored.routing.as_ref()));
    }
    Ok(match call.header("agent-hints").and_then(from_header) {
        Some(hints) => wanted.and(hints.qos, hints.routing.as_ref()),
        None => wanted,
    })
}

/// The hints in a header; nothing when they cannot be read.
pub(crate) fn from_header(value: &str) -> Option<AgentHints> {
    if value.len() > AgentHints::MAX_HEADER_BYTES {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(value).ok()?;
    read(&Fields::of(&object_of(&json).ok()?)).ok()
}

/// Reads every section of hints. What is not known is left out.
pub(super) fn read(hints: &Fields<'_, '_>) -> Result<AgentHints, ApiError> {
    Ok(AgentHints {
        version: owned(hints, "version")?,
        session: hints.optional_object("session")?.map(|fields| read_session(&fields)).transpose()?,
        state: hints.optional_object("state")?.map(|fields| read_state(&fields)).transpose()?,
        reuse: hints.optional_object("reuse")?.map(|fields| read_reuse(&fields)).transpose()?,
        qos: hints.optional_object("qos")?.map(|fields| read_qos(&fields)).transpose()?,
        routing: hints.optional_object("routing")?.map(|fields| read_routing(&fields)).transpose()?,
        safety: hints.optional_object("safety")?.map(|fields| read_safety(&fields)).transpose()?,
        extra: Extra::new(),
    })
}

fn read_session(fields: &Fields<'_, '_>) -> Result<HintSession, ApiError> {
    Ok(HintSession {
        session_id: fields.optional_id("session_id")?,
        branch_id: fields.optional_id("branch_id")?,
        expected_branch_version: fields.optional_count("expected_branch_version", 0..=u64::MAX)?,
        extra: Extra::new(),
    })
}

fn read_state(fields: &Fields<'_, '_>) -> Result<HintState, ApiError> {
    let bundles = fields.optional_items("bundle_refs", usize::MAX)?;
    Ok(HintState {
        bundle_refs: bundles.map(|items| items.map(|item| item.id::<BundleId>())).transpose()?,
        placement_preference: owned(fields, "placement_preference")?,
        extra: Extra::new(),
    })
}

fn read_reuse(fields: &Fields<'_, '_>) -> Result<HintReuse, ApiError> {
    Ok(HintReuse {
        preference: fields.optional_one_of("preference", ReusePreference::KNOWN)?,
        scope: fields.optional_one_of("scope", ReuseScope::KNOWN)?,
        retention_preference: owned(fields, "retention_preference")?,
        extra: Extra::new(),
    })
}

fn read_routing(fields: &Fields<'_, '_>) -> Result<HintRouting, ApiError> {
    let profiles = fields.optional_items("execution_profiles", usize::MAX)?;
    Ok(HintRouting {
        region_policy: owned(fields, "region_policy")?,
        execution_profiles: profiles
            .map(|items| items.map(|item| item.text().map(str::to_owned)))
            .transpose()?,
        data_boundary: owned(fields, "data_boundary")?,
        extra: Extra::new(),
    })
}

fn read_safety(fields: &Fields<'_, '_>) -> Result<HintSafety, ApiError> {
    Ok(HintSafety {
        retry_safety: owned(fields, "retry_safety")?,
        tool_side_effect_mode: owned(fields, "tool_side_effect_mode")?,
        extra: Extra::new(),
    })
}

fn owned(fields: &Fields<'_, '_>, member: &str) -> Result<Option<String>, ApiError> {
    Ok(fields.optional_text(member)?.map(str::to_owned))
}

fn read_qos(fields: &Fields<'_, '_>) -> Result<Qos, ApiError> {
    Ok(Qos {
        class: fields.optional_one_of("class", QosClass::KNOWN)?,
        target_ttft_ms: fields.optional_count("target_ttft_ms", Qos::TARGET_TTFT_MS)?,
        deadline_ms: fields.optional_count("deadline_ms", Qos::DEADLINE_MS)?,
        priority: fields.optional_count("priority", Qos::PRIORITY)?,
        degrade_policy: fields.optional_one_of("degrade_policy", DegradePolicy::KNOWN)?,
        extra: Extra::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_documented_header_value_is_read() {
        let value = "eyJ2ZXJzaW9uIjoiMjAyNi0wNi0wMSIsInFvcyI6eyJjbGFzcyI6ImludGVyYWN0aXZlIiwidGFyZ2V0X3R0ZnRfbXMiOjUwMH19";
        let qos = from_header(value).unwrap().qos.unwrap();
        assert_eq!((qos.class, qos.target_ttft_ms), (Some(QosClass::Interactive), Some(500)));
    }

    #[test]
    fn hints_that_cannot_be_read_are_none() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let long = encode(&format!("{{\"version\":\"{}\"}}", "x".repeat(8_192)));
        let deep = encode(&"[".repeat(4_000));
        for value in [
            "!",
            "e30=",
            &encode("[]"),
            &encode("{"),
            &encode(r#"{"qos":{"class":"urgent"}}"#),
            &encode(r#"{"qos":{"deadline_ms":0}}"#),
            &encode(r#"{"reuse":{"scope":7}}"#),
            &long,
            &deep,
        ] {
            assert_eq!(from_header(value), None, "{value}");
        }
        assert_eq!(from_header(&encode("{}")), Some(AgentHints::default()));
    }

    /// Hints of all kinds, and often such as are not taken.
    fn hints() -> impl Strategy<Value = AgentHints> {
        let number = || proptest::option::of(prop_oneof![0_u64..3, 250_u64..260, Just(u64::MAX)]);
        let text = prop_oneof![4 => Just(None), 1 => "[a-z_]{0,8}".prop_map(Some)];
        let edges = (number(), number(), number(), text);
        (any::<AgentHints>(), edges).prop_map(|(mut hints, (first, deadline, priority, id))| {
            if let Some(qos) = &mut hints.qos {
                (qos.target_ttft_ms, qos.deadline_ms, qos.priority) = (first, deadline, priority);
            }
            if let (Some(session), Some(id)) = (&mut hints.session, id) {
                session.session_id = serde_json::from_value(id.into()).ok();
            }
            hints
        })
    }

    proptest! {
        /// What the client sends, the server takes; what it refuses to send, the server would not have taken.
        #[test]
        fn the_client_sends_exactly_what_the_server_takes(hints in hints()) {
            let json = serde_json::to_vec(&hints).unwrap();
            let taken = from_header(&URL_SAFE_NO_PAD.encode(json)).is_some();
            let sent = hints.to_header_value();
            prop_assert_eq!(sent.is_ok(), taken, "{:?}", sent);
        }
    }
}
