//! Keys, contents, prompts and metadata are found nowhere they do not belong: on the side of the server, and on that of
//! the client.

mod client;
mod server;
