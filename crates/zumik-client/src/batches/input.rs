//! The input file, checked before anything is sent.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use zumik_types::{BatchRequest, CreateChatCompletionRequest};

use crate::endpoint::BuildError;
use crate::error::{Error, ErrorKind, Result};
use crate::multipart::{FilePart, MAX_BODY_BYTES};

/// The longest `custom_id`, in characters.
const MAX_CUSTOM_ID: usize = 256;

/// Input lines, written one after the other. The first one that breaks a rule is remembered instead.
#[derive(Default)]
pub(super) struct Input {
    jsonl: Vec<u8>,
    seen: HashSet<String>,
    broken: Option<Broken>,
}

#[derive(Debug)]
enum Broken {
    Rule(BuildError),
    TooLarge,
}

impl fmt::Debug for Input {
    /// The size, and whether it can be sent; no request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("requests", &self.seen.len())
            .field("bytes", &self.jsonl.len())
            .field("broken", &self.broken)
            .finish()
    }
}

impl Input {
    /// Adds a line.
    pub(super) fn push(&mut self, custom_id: String, request: CreateChatCompletionRequest) {
        if self.broken.is_none() {
            self.broken = self.write(custom_id, request).err();
        }
    }

    /// Whether a rule is broken, so that no further line changes anything.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The file, ready to be uploaded.
    pub(super) fn into_file(self) -> Result<FilePart> {
        match self.broken {
            Some(Broken::Rule(error)) => Err(error.into()),
            Some(Broken::TooLarge) => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a batch may have {MAX_BODY_BYTES} bytes (2 MiB) of input, which are full after {} requests: \
                     run several batches",
                    self.seen.len().saturating_sub(1)
                ),
            )),
            None if self.seen.is_empty() => {
                Err(BuildError::Invalid("a batch needs at least one request".to_owned()).into())
            }
            None => {
                Ok(FilePart::bytes("batch.jsonl", Bytes::from(self.jsonl)).content_type("application/jsonl"))
            }
        }
    }

    fn write(&mut self, custom_id: String, request: CreateChatCompletionRequest) -> Result<(), Broken> {
        let refuse = |reason: &str| {
            let custom_id = custom_id.chars().take(64).collect::<String>();
            Err(Broken::Rule(BuildError::Invalid(format!("the request {custom_id:?} of the batch {reason}"))))
        };
        if custom_id.is_empty() || custom_id.chars().count() > MAX_CUSTOM_ID {
            return refuse("needs a custom_id of 1 to 256 characters");
        }
        if request.stream == Some(true) {
            return refuse("asks for a stream, which a batch cannot give");
        }
        if !self.seen.insert(custom_id.clone()) {
            return refuse("has a custom_id that another one has too");
        }
        let mut json = serde_json::Serializer::new(&mut self.jsonl);
        BatchRequest::new(custom_id, request)
            .serialize(&mut json)
            .map_err(|error| Broken::Rule(error.into()))?;
        self.jsonl.push(b'\n');
        if self.jsonl.len() > MAX_BODY_BYTES { Err(Broken::TooLarge) } else { Ok(()) }
    }
}
