//! `multipart/form-data`: the form of an upload, and the file that goes into it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, pin_mut};
use memchr::memmem;
use tokio::io::AsyncReadExt;

use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::too_large;

/// The largest body that a server takes: 2 MiB, the framing of a form included.
pub(crate) const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// A file to upload: a name, a content type and the bytes.
///
/// It holds the whole content, so that an attempt can be repeated with the same bytes. No more than 2 MiB can be sent.
///
/// ```
/// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
/// use zumik_client::FilePart;
///
/// let file = zk.v1().files().upload(FilePart::path("requests.jsonl").await?).await?;
/// let notes = zk.v1().files().upload(FilePart::bytes("notes.txt", "CI is red.")).purpose("notes").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct FilePart {
    name: String,
    content_type: String,
    content: Bytes,
}

impl FilePart {
    /// A file from bytes in memory. More than 2 MiB are refused when the call is sent.
    pub fn bytes(name: impl Into<String>, content: impl Into<Bytes>) -> Self {
        let content_type = "application/octet-stream".to_owned();
        Self { name: name.into(), content_type, content: content.into() }
    }

    /// A file from the file system, under its own name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Request`] when it cannot be read; its [`cause`](Error::cause) is the [`std::io::Error`].
    /// [`ErrorKind::TooLarge`] when it is over 2 MiB; no more than that is read.
    pub async fn path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let unreadable = |error: std::io::Error| {
            Error::new(ErrorKind::Request, format!("cannot read {}: {error}", path.display()))
                .with_cause(error)
        };
        let mut content = Vec::new();
        let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?.take(MAX_BODY_BYTES as u64 + 1);
        file.read_to_end(&mut content).await.map_err(unreadable)?;
        if content.len() > MAX_BODY_BYTES {
            let size = file.get_ref().metadata().await.map_or(content.len() as u64, |meta| meta.len());
            return Err(too_large(usize::try_from(size).unwrap_or(usize::MAX)));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Self::bytes(name, content))
    }

    /// A file from a stream of pieces, read to its end now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Request`] with the stream's own error as its [`cause`](Error::cause), and
    /// [`ErrorKind::TooLarge`] as soon as there are more than 2 MiB.
    pub async fn stream<S, B, E>(name: impl Into<String>, pieces: S) -> Result<Self>
    where
        S: Stream<Item = Result<B, E>>,
        B: AsRef<[u8]>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        pin_mut!(pieces);
        let mut content = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                let error = error.into();
                Error::new(ErrorKind::Request, format!("cannot read the stream: {error}")).with_cause(error)
            })?;
            content.extend_from_slice(piece.as_ref());
            if content.len() > MAX_BODY_BYTES {
                return Err(too_large(content.len()));
            }
        }
        Ok(Self::bytes(name, content.freeze()))
    }

    /// Sets the content type of the part. Default: `application/octet-stream`.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// The name under which the file is stored.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the file.
    pub fn content(&self) -> &Bytes {
        &self.content
    }
}

impl fmt::Debug for FilePart {
    /// The name and the size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FilePart({:?}, {} bytes)", self.name, self.content.len())
    }
}

/// A form of text fields and files.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Multipart {
    texts: Vec<(&'static str, String)>,
    files: Vec<(&'static str, FilePart)>,
}

impl Multipart {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text field, if there is a value.
    #[must_use]
    pub fn text<T: Display>(mut self, name: &'static str, value: &Option<T>) -> Self {
        self.texts.extend(value.as_ref().map(|value| (name, value.to_string())));
        self
    }

    /// Adds a file.
    #[must_use]
    pub fn file(mut self, name: &'static str, file: &FilePart) -> Self {
        self.files.push((name, file.clone()));
        self
    }

    /// The content type with the boundary, and the body.
    pub(crate) fn encode(&self) -> (String, Bytes) {
        let boundary = self.boundary();
        let mut body = Vec::with_capacity(self.files.iter().map(|(_, file)| file.content.len() + 256).sum());
        for (name, text) in &self.texts {
            let head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", quoted(name));
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(text.as_bytes());
            body.extend_from_slice(b"\r\n");
        }
        for (name, file) in &self.files {
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
                quoted(name),
                quoted(&file.name),
                file.content_type.replace(['\r', '\n'], " "),
            );
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(&file.content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (format!("multipart/form-data; boundary={boundary}"), body.into())
    }

    /// How many bytes the fields have, without what frames them.
    pub(crate) fn content_bytes(&self) -> usize {
        self.contents().map(<[u8]>::len).sum()
    }

    fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let texts = self.texts.iter().map(|(_, text)| text.as_bytes());
        texts.chain(self.files.iter().map(|(_, file)| file.content.as_ref()))
    }

    /// A line that occurs in none of the parts: the first of a fixed row, so that equal forms are equal bytes.
    fn boundary(&self) -> String {
        let taken: BTreeSet<u32> = self.contents().flat_map(numbers).collect();
        // A content holds fewer of them than there are.
        let number = (0..=u32::MAX).find(|number| !taken.contains(number)).unwrap_or_default();
        format!("{BOUNDARY}{number:08x}")
    }
}

/// What a boundary begins with; eight hexadecimal digits follow.
const BOUNDARY: &str = "zumik-form-";

/// The numbers of the boundaries that occur in a content.
fn numbers(content: &[u8]) -> impl Iterator<Item = u32> {
    memmem::find_iter(content, BOUNDARY).filter_map(move |at| {
        let digits = content.get(at + BOUNDARY.len()..at + BOUNDARY.len() + 8)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    })
}

impl fmt::Debug for Multipart {
    /// The names of the fields, and the files by size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.texts.iter().map(|(name, _)| name).collect();
        f.debug_struct("Multipart").field("texts", &texts).field("files", &self.files).finish()
    }
}

/// A name in a quoted string, escaped as browsers do.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use futures_util::stream;

    use super::*;

    #[test]
    fn a_form_is_framed_as_the_standard_says() {
        let file = FilePart::bytes("a \"b\"\r\n.jsonl", "{}\n").content_type("application/jsonl");
        let (content_type, body) = Multipart::new()
            .text("purpose", &Some("batch"))
            .file("file", &file)
            .text::<&str>("none", &None)
            .encode();
        assert_eq!(content_type, "multipart/form-data; boundary=zumik-form-00000000");
        let expected = "--zumik-form-00000000\r\n\
            Content-Disposition: form-data; name=\"purpose\"\r\n\r\n\
            batch\r\n\
            --zumik-form-00000000\r\n\
            Content-Disposition: form-data; name=\"file\"; filename=\"a %22b%22%0D%0A.jsonl\"\r\n\
            Content-Type: application/jsonl\r\n\r\n\
            {}\n\r\n\
            --zumik-form-00000000--\r\n";
        assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
    }

    #[test]
    fn the_boundary_occurs_in_no_part() {
        let file = FilePart::bytes("f", "x\r\n--zumik-form-00000000--\r\n");
        let (content_type, _) = Multipart::new().file("file", &file).encode();
        assert_eq!(content_type, "multipart/form-data; boundary=zumik-form-00000001");
    }

    #[test]
    fn a_content_that_holds_every_boundary_costs_no_more_than_another() {
        let hostile: String = (0..100_000).map(|number| format!("{BOUNDARY}{number:08x}")).collect();
        let form = Multipart::new().file("file", &FilePart::bytes("f", hostile));
        let (done, wait) = mpsc::channel();
        thread::spawn(move || done.send(form.encode().0));
        let content_type = wait.recv_timeout(Duration::from_secs(5)).expect("it takes too long");
        assert_eq!(content_type, "multipart/form-data; boundary=zumik-form-000186a0");
    }

    #[tokio::test]
    async fn a_file_is_read_from_a_path_under_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.jsonl");
        std::fs::write(&path, "{}").unwrap();
        let part = FilePart::path(&path).await.unwrap();
        assert_eq!((part.name(), part.content().as_ref()), ("requests.jsonl", b"{}".as_slice()));
    }

    #[tokio::test]
    async fn a_missing_file_is_an_error_with_its_cause() {
        let folder = tempfile::tempdir().unwrap();
        let error = FilePart::path(folder.path().join("absent")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        let cause = error.cause().unwrap().downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn a_file_over_two_mebibytes_is_refused_with_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        std::fs::write(&path, vec![0; MAX_BODY_BYTES + 7]).unwrap();
        let error = FilePart::path(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.message().contains("2097159 bytes"), "{error}");
    }

    #[tokio::test]
    async fn an_endless_stream_is_given_up_at_two_mebibytes() {
        let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(vec![0; 65_536]));
        assert_eq!(FilePart::stream("endless", pieces).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_end() {
        let pieces = stream::iter([Ok::<_, std::io::Error>("one "), Ok("two")]);
        assert_eq!(FilePart::stream("s", pieces).await.unwrap().content().as_ref(), b"one two");
    }

    #[tokio::test]
    async fn a_stream_that_fails_reports_its_own_error() {
        let pieces = stream::iter([Ok("one "), Err(std::io::Error::other("disk on fire"))]);
        let error = FilePart::stream("s", pieces).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Request, "cannot read the stream: disk on fire")
        );
    }

    #[test]
    fn contents_are_not_printed() {
        let file = FilePart::bytes("f", "canary");
        let form = Multipart::new().text("t", &Some("canary")).file("file", &file);
        assert_eq!(
            format!("{form:?}"),
            "Multipart { texts: [\"t\"], files: [(\"file\", FilePart(\"f\", 6 bytes))] }"
        );
    }
}
