use bytes::Bytes;
use zumik_server::fuzzing::{Part, form as read};

/// What a form is read as lies in its body, and a form that is written of it is read as the same.
///
/// The first line is the `Content-Type`, the rest the body.
pub fn form(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (content_type, body) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let Some(parts) = read(content_type, Bytes::copy_from_slice(body)) else { return };
    let held: usize = parts.iter().map(|part| part.bytes.len() + part.name.len()).sum();
    assert!(held <= body.len(), "parts hold {held} bytes of a body of {}", body.len());
    for part in &parts {
        let found =
            part.bytes.is_empty() || body.windows(part.bytes.len()).any(|part_of| part_of == part.bytes);
        assert!(found, "a part is not in the body");
    }
    if parts.is_empty() || !parts.iter().all(is_plain) {
        return;
    }
    let Some(boundary) = boundary(&parts) else { return };
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let again = read(content_type.as_bytes(), written(&parts, &boundary).into());
    assert_eq!(again.as_ref(), Some(&parts), "a form that was written is read as another");
}

/// Whether names can stand between quotes as they are.
fn is_plain(part: &Part) -> bool {
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte));
    // A part without a name, as one with an empty one, has none.
    !part.name.is_empty() && plain(&part.name) && part.file_name.as_deref().is_none_or(plain)
}

/// A boundary that stands in none of the parts.
fn boundary(parts: &[Part]) -> Option<String> {
    (0..64).map(|n| format!("boundary{n}")).find(|boundary| {
        let stands = |part: &Part| part.bytes.windows(boundary.len()).any(|text| text == boundary.as_bytes());
        !parts.iter().any(stands)
    })
}

fn written(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for Part { name, file_name, bytes } in parts {
        let file_name = file_name.as_ref().map_or_else(String::new, |name| format!("; filename=\"{name}\""));
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
