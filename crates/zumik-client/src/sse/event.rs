//! One event.

use std::fmt;

/// One server-sent event, borrowed from the parser or made with [`new`](Self::new).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SseEvent<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) id: Option<&'a str>,
    pub(super) data: &'a [u8],
}

impl<'a> SseEvent<'a> {
    /// An event without a name and an id.
    pub fn new(data: &'a [u8]) -> Self {
        Self { name: None, id: None, data }
    }

    /// The same event with a name.
    #[must_use]
    pub fn named(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// The value of `event:`. `None` when it is missing or empty.
    pub fn name(&self) -> Option<&'a str> {
        self.name
    }

    /// The last event id: the value of the last `id:` of the stream so far. `None` when there was none, or an empty one.
    pub fn id(&self) -> Option<&'a str> {
        self.id
    }

    /// The values of `data:`, joined with line feeds. Not checked to be UTF-8.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }
}

impl fmt::Debug for SseEvent<'_> {
    /// The data, which may be an answer of a model, by its size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseEvent")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("data", &format_args!("{} bytes", self.data.len()))
            .finish()
    }
}
