//! Compiles `proto/` with protox, so that no protoc has to be installed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 3] = [
    "fedcost/storage/v1/storage.proto",
    "fedcost/ingest/v1/ingest.proto",
    "fedcost/query/v1/query.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(FILES, [&root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Messages of chunks are passed on without a copy.
        .bytes(".fedcost.storage.v1")
        .bytes(".fedcost.query.v1.ColumnsResponse")
        .compile_fds(descriptors)?;
    Ok(())
}
