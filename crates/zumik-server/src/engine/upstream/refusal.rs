//! What a provider complains about, in whatever form it says so.

use serde_json::Value;

/// Most bytes of a complaint that are read. A longer one counts as one that says nothing.
pub(super) const LONGEST: usize = 64 * 1024;

/// A provider's complaint, in the members of the error envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<String>,
}

impl Refusal {
    /// A status that is no success, with what its body says.
    pub(super) fn by_status(status: u16, body: &[u8]) -> Self {
        Complaint::read(body)
            .with(status, || format!("The provider refused the request with status {status}."))
    }

    /// An error in the place of an answer, or within one.
    pub(super) fn in_answer(data: &[u8]) -> Self {
        Complaint::read(data).in_answer()
    }

    /// The error of an answer, whose members are known.
    pub(super) fn of_answer(code: Option<&str>, message: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Complaint { message: text(message), code: text(code), param: None }.in_answer()
    }
}

/// What can be read of a complaint.
struct Complaint {
    message: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl Complaint {
    /// OpenAI's envelope, and what other providers send in its place: the error without an envelope, in an array, as a
    /// text, or as the `detail` of a framework. Each member is read by itself: one that is unusual takes none of the
    /// others with it.
    fn read(body: &[u8]) -> Self {
        let body = if body.len() > LONGEST { &[] } else { body };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let whole = match body.as_array().map(Vec::as_slice) {
            Some([only]) => only,
            _ => &body,
        };
        let error = whole.get("error").filter(|error| !error.is_null()).unwrap_or(whole);
        let code = match &error["code"] {
            Value::String(code) => Some(code.clone()).filter(|code| !code.is_empty()),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        };
        let param = path(&error["param"]).or_else(|| path(&error["detail"][0]["loc"]));
        Self { message: text(error).map(str::to_owned), code, param }
    }

    fn in_answer(self) -> Refusal {
        self.with(502, || "The provider of this model failed in its answer.".to_owned())
    }

    fn with(self, status: u16, unsaid: impl FnOnce() -> String) -> Refusal {
        let Self { message, code, param } = self;
        Refusal { status, message: message.unwrap_or_else(unsaid), code, param }
    }
}

/// The words of a complaint: itself, or what it has under one of their names. Of several the first.
fn text(complaint: &Value) -> Option<&str> {
    match complaint {
        Value::String(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Value::Array(several) => text(several.first()?),
        Value::Object(members) => {
            ["message", "detail", "msg"].iter().find_map(|name| text(members.get(*name)?))
        }
        _ => None,
    }
}

/// Where in the request the fault is: a path, or the steps of one from the body on.
fn path(place: &Value) -> Option<String> {
    let path = match place {
        Value::String(path) => path.clone(),
        Value::Array(steps) => {
            let steps = steps.iter().filter_map(|step| match step {
                Value::String(name) => Some(name.clone()),
                Value::Number(index) => Some(index.to_string()),
                _ => None,
            });
            steps.skip_while(|step| step == "body").collect::<Vec<_>>().join(".")
        }
        _ => return None,
    };
    Some(path).filter(|path| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_provider_complains_about_is_read_from_every_form_of_it() {
        let whole = json!({ "message": "Too long.", "type": "x", "code": "too_long", "param": "messages" });
        let told = |code, param| ("Too long.", code, param);
        for (body, expected) in [
            (json!({ "error": whole }), told(Some("too_long"), Some("messages"))),
            (json!([{ "error": whole }]), told(Some("too_long"), Some("messages"))),
            (whole.clone(), told(Some("too_long"), Some("messages"))),
            (
                json!({ "error": { "message": "Too long.", "code": 400, "param": null } }),
                told(Some("400"), None),
            ),
            (json!({ "object": "error", "message": "Too long.", "code": 400 }), told(Some("400"), None)),
            (
                json!({ "error": { "message": "Too long.", "code": [], "param": ["body", "messages", 0] } }),
                told(None, Some("messages.0")),
            ),
            (json!({ "error": null, "message": "Too long." }), told(None, None)),
            (json!({ "error": "Too long." }), told(None, None)),
            (json!({ "detail": "Too long." }), told(None, None)),
            (
                json!({ "detail": [{ "loc": ["body", "messages"], "msg": "Too long.", "type": "x" }] }),
                told(None, Some("messages")),
            ),
            (
                json!({ "object": "error", "message": { "detail": [{ "msg": "Too long." }] } }),
                told(None, None),
            ),
        ] {
            let read = Refusal::by_status(400, body.to_string().as_bytes());
            let (message, code, param) = expected;
            let expected = Refusal {
                status: 400,
                message: message.to_owned(),
                code: code.map(str::to_owned),
                param: param.map(str::to_owned),
            };
            assert_eq!(read, expected, "{body}");
        }
    }

    #[test]
    fn a_complaint_that_cannot_be_read_is_told_by_its_place() {
        let long = json!({ "error": { "message": "x".repeat(LONGEST) } }).to_string();
        for body in
            ["", "<html>", "[]", "7", r#"{"error":{"message":7}}"#, r#"{"error":{"message":""}}"#, &long]
        {
            let body = body.as_bytes();
            let refused = Refusal::by_status(400, body);
            assert_eq!(refused.message, "The provider refused the request with status 400.");
            let reported = Refusal::in_answer(body);
            assert_eq!(
                (reported.status, &*reported.message),
                (502, "The provider of this model failed in its answer.")
            );
        }
    }
}
