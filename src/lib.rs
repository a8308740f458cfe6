//! genetrail: what happens to a gene-therapy product and to the people who receive it, in a
//! hash-chained, signed log that anybody can check.

#[cfg(feature = "server")]
mod bench;
pub mod cli;
pub mod clock;
#[cfg(feature = "server")]
pub mod ledger;
#[cfg(feature = "server")]
mod metrics;
pub mod note;
#[cfg(feature = "server")]
pub mod population;
pub mod record;
pub mod rules;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod service;
#[cfg(feature = "server")]
pub mod store;
pub mod tlog;
pub mod verify;
#[cfg(feature = "server")]
pub mod views;

/// The protobuf messages and services, generated from `proto/`.
#[allow(
    missing_docs,
    unused_qualifications,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated"
)]
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/genetrail.v1.rs"));
    #[cfg(feature = "server")]
    include!(concat!(env!("OUT_DIR"), "/servers/genetrail.v1.rs"));

    /// The descriptors of all of it, as an encoded `google.protobuf.FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
