//! The cloud's authority, and the certificates of its server and of this host's agent.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// The name in the server's certificate.
pub const SERVER_NAME: &str = "hextet-server";

/// Makes all of them, unless the directory is there.
pub fn ensure(tls: &Path, host: &str) -> Result<()> {
    if tls.is_dir() {
        return Ok(());
    }
    // Moved into place whole: a start that was cut short leaves no half of them.
    let new = tls.with_extension("new");
    let _ = std::fs::remove_dir_all(&new);
    std::fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
        .distinguished_name
        .push(DnType::CommonName, "hextet authority");
    let authority = CertifiedIssuer::self_signed(params, key)?;
    write(&new.join("ca.pem"), 0o644, &authority.pem())?;
    write(&new.join("ca.key"), 0o600, &authority.key().serialize_pem())?;
    for (file, name, usage) in [
        ("server", SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth),
        ("agent", host, ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])
            .with_context(|| format!("the host's name {name:?} cannot stand in a certificate"))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &authority)?;
        write(&new.join(format!("{file}.pem")), 0o644, &certificate.pem())?;
        write(
            &new.join(format!("{file}.key")),
            0o600,
            &key.serialize_pem(),
        )?;
    }
    std::fs::rename(&new, tls).with_context(|| tls.display().to_string())
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}
