//! The integration tests, in one binary: it links once.

mod history;
