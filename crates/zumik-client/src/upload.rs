//! `POST /v1/files`: the one operation whose body is a form.

use bytes::Bytes;
use zumik_types::{File, Operation, operations};

use crate::call::Call;
use crate::endpoint::{BuildError, DecodeError, Endpoint, Multipart, RequestParts, json};
use crate::generated::v1::files::Files;
use crate::multipart::FilePart;

impl<'c> Files<'c> {
    /// Upload a file (multipart).
    ///
    /// ```
    /// # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
    /// use zumik_client::FilePart;
    ///
    /// let file = zk.v1().files().upload(FilePart::path("requests.jsonl").await?).await?;
    /// println!("{} has {} bytes", file.id, file.bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `POST /v1/files`, scope `inference`. Source: `v1.md#post-v1files`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](crate::ErrorKind::TooLarge), before anything is sent, when file and framing are over 2 MiB.
    /// [`BadRequest`](crate::ErrorKind::BadRequest) with `param` `file` when the file is empty or the project's
    /// storage is full (200 files, 256 MiB).
    pub fn upload(&self, file: FilePart) -> Call<'c, UploadFile> {
        Call::new(self.client, UploadFile::new(file))
    }
}

/// `POST /v1/files`: Upload a file (multipart).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadFile {
    /// The file.
    pub file: FilePart,
    /// What it is for.
    pub purpose: Option<String>,
}

impl UploadFile {
    /// With what is required; setters add the rest.
    pub fn new(file: FilePart) -> Self {
        Self { file, purpose: None }
    }

    /// What the file is for: any text of at most 64 characters but `batch_output`. Only `batch` files can feed a batch.
    ///
    /// Default: `batch`.
    #[must_use]
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = Some(purpose.into());
        self
    }
}

impl Endpoint for UploadFile {
    const OPERATION: &'static Operation = &operations::UPLOAD_FILE;
    type Output = File;

    fn parts(&self) -> Result<RequestParts, BuildError> {
        let form = Multipart::new().text("purpose", &self.purpose).file("file", &self.file);
        Ok(RequestParts::new(Self::OPERATION, &[])?.multipart(form))
    }

    fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
        json(body)
    }
}

impl Call<'_, UploadFile> {
    /// What the file is for: any text of at most 64 characters but `batch_output`. Only `batch` files can feed a batch.
    ///
    /// Default: `batch`.
    pub fn purpose(self, purpose: impl Into<String>) -> Self {
        self.map(|endpoint| endpoint.purpose(purpose))
    }
}
