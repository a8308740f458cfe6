//! Compiles the protos in pure Rust (no protoc), writes the checks of the records from the rules in them,
//! and hands the descriptors to reflection and to JSON.

#![expect(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::wildcard_enum_match_arm,
    reason = "what is wrong with a proto stops the build, and says where; and it runs once"
)]

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

#[path = "build/checks.rs"]
mod checks;

/// How the services' messages become bytes.
const CODEC: &str = "crate::service::Codec";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build");
    let server = env::var_os("CARGO_FEATURE_SERVER").is_some();
    let mut protos: Vec<PathBuf> = fs::read_dir("proto/genetrail/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    // Without the server, the services' messages are not needed, nor is what they import.
    protos.retain(|path| server || !path.to_string_lossy().ends_with("_service.proto"));
    protos.sort();

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&protos)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    // The rules beside the fields are extensions: only the compiler's own encoding keeps them.
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    fs::write(
        out.join("checks.rs"),
        checks::generate(&compiler.descriptor_pool()),
    )?;
    tonic_prost_build::configure()
        .build_client(server)
        .build_server(false)
        .codec_path(CODEC)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        // Of an answer with a thousand receipts, each proof has a dozen hashes: they stay where they came in.
        .bytes(".genetrail.v1.Receipt.entry")
        .bytes(".genetrail.v1.Receipt.leaf_hash")
        .bytes(".genetrail.v1.Receipt.inclusion_proof")
        // A record is larger than a kilobyte, and a submission goes from hand to hand.
        .boxed(".genetrail.v1.Submission.form.record")
        .compile_fds(compiler.file_descriptor_set())?;
    if server {
        servers(&out.join("servers"), &compiler)?;
    }
    Ok(())
}

/// The server's side of the services, apart from the messages and the clients: the answers to recording have types of
/// their own, and the same bytes.
fn servers(out: &Path, protos: &protox::Compiler) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(out)?;
    tonic_prost_build::configure()
        .out_dir(out)
        .build_client(false)
        .codec_path(CODEC)
        .extern_path(".genetrail.v1", "crate::pb")
        .extern_path(
            ".genetrail.v1.RecordResponse",
            "crate::service::EncodedReceipt",
        )
        .extern_path(
            ".genetrail.v1.RecordBatchResponse",
            "crate::service::EncodedReceipts",
        )
        .extern_path(
            ".genetrail.v1.RecordStreamResponse",
            "crate::service::EncodedOutcome",
        )
        .compile_fds(protos.file_descriptor_set())?;
    Ok(())
}
