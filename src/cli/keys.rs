//! Private keys in files, and verifier keys as they are typed. What a key may sign is not known here.

use std::{fs, io::Write as _, path::Path};

use anyhow::{Context as _, anyhow};
#[cfg(any(test, feature = "server"))]
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, spki::der::pem::LineEnding},
};

use super::random;
use crate::note::VerifierKey;

/// A new key.
pub(super) fn generate() -> anyhow::Result<SigningKey> {
    Ok(SigningKey::from_bytes(&random()?))
}

/// Reads a private key, PKCS #8 in PEM.
#[cfg(any(test, feature = "server"))]
pub(super) fn read(path: &Path) -> anyhow::Result<SigningKey> {
    let shown = path.display();
    let pem = fs::read_to_string(path).with_context(|| format!("cannot read the key {shown}"))?;
    // The error is dropped on purpose: it could quote what is in the file.
    let key = SigningKey::from_pkcs8_pem(&pem).ok();
    key.with_context(|| format!("{shown} is not an Ed25519 key, PKCS #8 in PEM"))
}

/// Writes a private key that only its owner can read. An existing file is never overwritten.
pub(super) fn create(path: &Path, key: &SigningKey) -> anyhow::Result<()> {
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| anyhow!("{error}"))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options
        .open(path)
        .with_context(|| format!("cannot create the key {}", path.display()))?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("cannot write the key {}", path.display()))
}

/// A verifier key: the line itself, or the file that holds it.
pub(super) fn verifier_key(typed: &str) -> anyhow::Result<VerifierKey> {
    let refused = match VerifierKey::parse(typed) {
        Ok(key) => return Ok(key),
        Err(refused) => refused,
    };
    // What has a plus sign was meant to be a key, unless there is such a file.
    if !Path::new(typed).is_file() {
        return Err(refused)
            .with_context(|| format!("{typed:?} is neither a verifier key nor a file"));
    }
    let line = fs::read_to_string(typed).with_context(|| format!("cannot read {typed}"))?;
    VerifierKey::parse(line.trim_end_matches(['\r', '\n']))
        .with_context(|| format!("{typed} does not hold a verifier key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{KeyName, NoteSigner};

    #[test]
    fn a_key_is_read_back_as_it_was_written_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("author.key");
        let key = SigningKey::from_bytes(&[7; 32]);
        create(&path, &key).unwrap();
        assert_eq!(read(&path).unwrap(), key);
        assert!(create(&path, &SigningKey::from_bytes(&[8; 32])).is_err());
        assert_eq!(read(&path).unwrap(), key);
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("author.key");
        create(&path, &SigningKey::from_bytes(&[7; 32])).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("author.key");
        fs::write(
            &path,
            "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn a_verifier_key_is_typed_or_named_by_its_file() {
        let name = KeyName::parse("log.example/trail").unwrap();
        let key = NoteSigner::new(name, SigningKey::from_bytes(&[7; 32])).vkey();
        assert_eq!(verifier_key(&key.to_string()).unwrap(), key);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.vkey");
        let typed = path.to_str().unwrap();
        verifier_key(typed).unwrap_err();
        fs::write(&path, format!("{key}\n")).unwrap();
        assert_eq!(verifier_key(typed).unwrap(), key);
        fs::write(&path, format!("{key}\n{key}\n")).unwrap();
        verifier_key(typed).unwrap_err();
    }
}
