//! Agent hints: in the body, where a mistake is told, and in headers, where it is ignored (contract `concepts.md`,
//! "Agent hints").

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zumik_types::{AgentHints, BundleId, DegradePolicy, Extra, Qos, QosClass, ReusePreference, ReuseScope};

use crate::engine::qos;
use crate::http::ApiError;
use crate::http::call::Call;
use crate::http::input::Fields;

/// The `qos` that a generation asks for: of the body, else of the body's hints, else of the header `Agent-Hints`.
///
/// `Agent-Hints-Ref` names stored hints. This server stores none, so every id is unknown, and unknown ones are ignored.
/// Of the other sections none has an effect without an upstream; in a body they are checked all the same.
pub(super) fn wanted(call: &Call, body: Option<&Fields<'_, '_>>) -> Result<Qos, ApiError> {
    let mut wanted = Qos::default();
    if let Some(body) = body {
        if let Some(fields) = body.optional_object("qos")? {
            wanted = read_qos(&fields)?;
        }
        if let Some(fields) = body.optional_object("agent_hints")? {
            wanted = qos::or(wanted, read_hints(&fields)?);
        }
    }
    Ok(match call.header("agent-hints").and_then(from_header) {
        Some(hinted) => qos::or(wanted, hinted),
        None => wanted,
    })
}

/// The `qos` of hints in a header; nothing when they cannot be read.
fn from_header(value: &str) -> Option<Qos> {
    if value.len() > AgentHints::MAX_HEADER_BYTES {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(value).ok()?;
    let Value::Object(members) = serde_json::from_slice(&json).ok()? else { return None };
    read_hints(&Fields::of(&members)).ok()
}

/// Checks every section of hints, and gives their `qos`.
fn read_hints(hints: &Fields<'_, '_>) -> Result<Qos, ApiError> {
    hints.optional_text("version")?;
    if let Some(session) = hints.optional_object("session")? {
        session.optional_text("session_id")?;
        session.optional_text("branch_id")?;
        session.optional_count("expected_branch_version", 0..=u64::MAX)?;
    }
    if let Some(state) = hints.optional_object("state")? {
        if let Some(bundles) = state.optional_items("bundle_refs")? {
            bundles.map(|item| item.id::<BundleId>())?;
        }
        state.optional_text("placement_preference")?;
    }
    if let Some(reuse) = hints.optional_object("reuse")? {
        reuse.optional_one_of("preference", ReusePreference::KNOWN)?;
        reuse.optional_one_of("scope", ReuseScope::KNOWN)?;
        reuse.optional_text("retention_preference")?;
    }
    let qos = hints.optional_object("qos")?.map(|fields| read_qos(&fields)).transpose()?;
    if let Some(routing) = hints.optional_object("routing")? {
        routing.optional_text("region_policy")?;
        if let Some(profiles) = routing.optional_items("execution_profiles")? {
            profiles.map(|item| item.text())?;
        }
        routing.optional_text("data_boundary")?;
    }
    if let Some(safety) = hints.optional_object("safety")? {
        safety.optional_text("retry_safety")?;
        safety.optional_text("tool_side_effect_mode")?;
    }
    Ok(qos.unwrap_or_default())
}

fn read_qos(fields: &Fields<'_, '_>) -> Result<Qos, ApiError> {
    Ok(Qos {
        class: fields.optional_one_of("class", QosClass::KNOWN)?,
        target_ttft_ms: fields.optional_count("target_ttft_ms", 1..=u64::MAX)?,
        deadline_ms: fields.optional_count("deadline_ms", 1..=u64::MAX)?,
        priority: fields.optional_count("priority", 0..=255)?,
        degrade_policy: fields.optional_one_of("degrade_policy", DegradePolicy::KNOWN)?,
        extra: Extra::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_header_value_is_read() {
        let value = "eyJ2ZXJzaW9uIjoiMjAyNi0wNi0wMSIsInFvcyI6eyJjbGFzcyI6ImludGVyYWN0aXZlIiwidGFyZ2V0X3R0ZnRfbXMiOjUwMH19";
        let qos = from_header(value).unwrap();
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
        assert_eq!(from_header(&encode("{}")), Some(Qos::default()));
    }
}
