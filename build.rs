//! Compiles the protos in pure Rust (no protoc), and hands the descriptors to reflection and to JSON.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let server = env::var_os("CARGO_FEATURE_SERVER").is_some();
    let mut protos: Vec<PathBuf> = fs::read_dir("proto/genetrail/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    // Without the server, the services' messages are not needed, nor is what they import.
    protos.retain(|path| server || !path.to_string_lossy().ends_with("_service.proto"));
    protos.sort();

    let descriptors = protox::compile(&protos, ["proto"])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(server)
        .build_server(server)
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .bytes(".genetrail.v1.Receipt.entry")
        .compile_fds(descriptors)?;
    Ok(())
}
