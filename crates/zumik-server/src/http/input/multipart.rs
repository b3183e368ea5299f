//! `multipart/form-data` bodies.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use multer::Multipart;
use sha2::{Digest, Sha256};

use crate::http::error::ApiError;

/// The parts of a form, in the order sent.
pub(crate) struct Form(Vec<Part>);

/// One part of a form.
pub(crate) struct Part {
    /// `name` of its `Content-Disposition`; empty when it has none.
    pub(crate) name: String,
    /// `filename` of its `Content-Disposition`.
    pub(crate) file_name: Option<String>,
    /// What it holds.
    pub(crate) bytes: Bytes,
}

impl Form {
    /// Splits a body that is there as a whole.
    ///
    /// # Errors
    /// 400 with `param` null: another content type, no boundary, or a broken frame.
    pub(crate) async fn read(headers: &HeaderMap, body: Bytes) -> Result<Self, ApiError> {
        let Some(boundary) = boundary(headers) else {
            return Err(ApiError::malformed(
                "The body must be 'multipart/form-data', and its Content-Type must name the boundary.",
            ));
        };
        let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
        let mut frames = Multipart::new(stream, boundary);
        let mut parts = Vec::new();
        while let Some(field) = frames.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let bytes = field.bytes().await.map_err(broken)?;
            parts.push(Part { name, file_name, bytes });
        }
        Ok(Self(parts))
    }

    /// The first part with this name.
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name == name)
    }

    /// All parts.
    #[cfg(feature = "fuzzing")]
    pub(crate) fn into_parts(self) -> impl Iterator<Item = Part> {
        self.0.into_iter()
    }

    /// Feeds names, file names and bytes of all parts to a hash, each with its length; the boundary has no say.
    pub(crate) fn digest_into(&self, hash: &mut Sha256) {
        let mut feed = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        for part in &self.0 {
            feed(part.name.as_bytes());
            feed(&[u8::from(part.file_name.is_some())]);
            feed(part.file_name.as_deref().unwrap_or_default().as_bytes());
            feed(&part.bytes);
        }
    }
}

/// Whether the content type is `multipart/form-data`.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    super::json::has_media_type(headers, "multipart/form-data")
}

fn boundary(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE).filter(|_| is_multipart(headers))?;
    multer::parse_boundary(content_type.to_str().ok()?).ok()
}

fn broken(error: multer::Error) -> ApiError {
    ApiError::malformed(format!("The multipart body is malformed: {error}."))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    fn body(boundary: &str, parts: &[(&str, &[u8])]) -> Bytes {
        let mut body = Vec::new();
        for (disposition, bytes) in parts {
            body.extend_from_slice(
                format!("--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        body.into()
    }

    fn digest(form: &Form) -> [u8; 32] {
        let mut hash = Sha256::new();
        form.digest_into(&mut hash);
        hash.finalize().into()
    }

    #[tokio::test]
    async fn parts_come_back_byte_for_byte() {
        let bytes = b"\0\xff--zumi\r\n--zumik".as_slice();
        let sent = body(
            "zumik",
            &[("name=\"purpose\"", b"batch"), ("name=\"file\"; filename=\"a b.jsonl\"", bytes)],
        );
        let form = Form::read(&headers("multipart/form-data; boundary=zumik"), sent).await;
        assert!(form.is_err(), "a line that begins with the boundary ends the part");

        let bytes = b"\0\xff--zumi\r\n zumik".as_slice();
        let sent = body(
            "zumik",
            &[("name=\"purpose\"", b"batch"), ("name=\"file\"; filename=\"a b.jsonl\"", bytes)],
        );
        let form = Form::read(&headers("Multipart/Form-Data; boundary=\"zumik\""), sent).await.unwrap();
        let file = form.part("file").unwrap();
        assert_eq!((file.file_name.as_deref(), &file.bytes[..]), (Some("a b.jsonl"), bytes));
        assert_eq!(&form.part("purpose").unwrap().bytes[..], b"batch");
        assert!(form.part("other").is_none());
    }

    #[tokio::test]
    async fn the_digest_is_over_the_parts_and_not_over_the_boundary() {
        let parts: &[(&str, &[u8])] = &[("name=\"file\"; filename=\"a\"", b"x")];
        let one =
            Form::read(&headers("multipart/form-data; boundary=one"), body("one", parts)).await.unwrap();
        let two =
            Form::read(&headers("multipart/form-data; boundary=two"), body("two", parts)).await.unwrap();
        assert_eq!(digest(&one), digest(&two));
        let other: &[(&str, &[u8])] = &[("name=\"file\"; filename=\"b\"", b"x")];
        let three =
            Form::read(&headers("multipart/form-data; boundary=two"), body("two", other)).await.unwrap();
        assert_ne!(digest(&one), digest(&three));
    }

    #[test]
    fn no_file_name_is_none_of_all_names() {
        let of = |file_name: Option<&str>| {
            let (name, file_name) = ("file".to_owned(), file_name.map(str::to_owned));
            digest(&Form(vec![Part { name, file_name, bytes: Bytes::from_static(b"x") }]))
        };
        for name in ["", "\0", "\0no file name"] {
            assert_ne!(of(Some(name)), of(None), "{name:?}");
        }
    }

    #[tokio::test]
    async fn a_broken_frame_is_refused() {
        let whole = body("zumik", &[("name=\"file\"; filename=\"a\"", b"x")]);
        for end in [0, 1, 7, 20, whole.len() - 5] {
            let cut = whole.slice(..end);
            let error = Form::read(&headers("multipart/form-data; boundary=zumik"), cut).await.err().unwrap();
            assert_eq!(error.status(), http::StatusCode::BAD_REQUEST, "{end}");
        }
        for content_type in ["multipart/form-data", "multipart/mixed; boundary=zumik", "application/json"] {
            assert!(Form::read(&headers(content_type), whole.clone()).await.is_err(), "{content_type}");
        }
    }
}
