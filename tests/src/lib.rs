//! Whole-system tests: a real client against a real server.
