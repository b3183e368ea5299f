//! The embedded Zumik server.
