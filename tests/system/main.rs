//! Whole-system tests: a real client and strangers' clients against a real server, over loopback.

mod docs;
