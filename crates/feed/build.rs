//! Compiles the protobuf files without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(
        [
            "hextet/feed/v1/plan.proto",
            "hextet/feed/v1/feed.proto",
            "hextet/feed/v1/local.proto",
        ],
        ["proto"],
    )?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
