//! `c2sp.org/tlog-proof@v1`: an index, an inclusion proof and a checkpoint in one text that is kept beside
//! an entry and checked offline.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Note, NoteError, decode_base64, parse_decimal};
use crate::tlog::{Hash, Index};

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The height of a tree of 2^64 - 1 leaves.
const HASHES_MAX: usize = 64;

/// Why the text of a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// A line is missing or is not written as it must be.
    #[error("line {line} of the proof is malformed")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
    /// What follows the blank line is no signed note.
    #[error("the proof's checkpoint is malformed")]
    Checkpoint(#[source] NoteError),
}

/// What is needed, besides the entry and the log's key, to check that the entry is in the log. Reading it
/// checks nothing but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever the application adds; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The entry's index.
    pub index: Index,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed note of the checkpoint, as the log issued it.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a proof, and accepts only what [`TlogProof::encode`] gives back byte for byte.
    pub fn parse(text: &str) -> Result<Self, TlogProofError> {
        let malformed = |line| TlogProofError::Line { line };
        // No line of the proof itself is empty, so the first blank line is the one before the checkpoint.
        let (head, checkpoint) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.split('\n').zip(1..).peekable();
        if lines.next() != Some((HEADER, 1)) {
            return Err(malformed(1));
        }
        let extra = match lines
            .peek()
            .and_then(|(line, _)| line.strip_prefix("extra "))
        {
            Some(extra) => {
                lines.next();
                Some(decode_base64(extra).ok_or(malformed(2))?)
            }
            None => None,
        };
        let (line, number) = lines.next().ok_or(malformed(2))?;
        let index = line.strip_prefix("index ").and_then(parse_decimal);
        let index = Index::new(index.ok_or(malformed(number))?);

        let mut hashes = Vec::new();
        for (line, number) in lines {
            let hash = decode_base64(line).and_then(|hash| Hash::from_slice(&hash).ok());
            if HASHES_MAX <= hashes.len() {
                return Err(malformed(number));
            }
            hashes.push(hash.ok_or(malformed(number))?);
        }
        Note::parse(checkpoint).map_err(TlogProofError::Checkpoint)?;
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// The proof as text.
    pub fn encode(&self) -> String {
        let mut lines = vec![HEADER.to_owned()];
        if let Some(extra) = &self.extra {
            lines.push(format!("extra {}", BASE64_STANDARD.encode(extra)));
        }
        lines.push(format!("index {}", self.index));
        lines.extend(self.hashes.iter().map(|hash| BASE64_STANDARD.encode(hash)));
        format!("{}\n\n{}", lines.join("\n"), self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::EMPTY_ROOT;

    const ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    const CHECKPOINT: &str = "log\n\n\u{2014} log AAAAAAA=\n";

    #[test]
    fn a_proof_that_is_read_is_written_back_byte_for_byte() {
        for extra in [None, Some(Vec::new()), Some(b"age-v1.2.1".to_vec())] {
            for hashes in [0, 1, 64] {
                let proof = TlogProof {
                    extra: extra.clone(),
                    index: Index::new(73_894),
                    hashes: vec![EMPTY_ROOT; hashes],
                    checkpoint: CHECKPOINT.to_owned(),
                };
                assert_eq!(TlogProof::parse(&proof.encode()), Ok(proof));
            }
        }
        let text = format!("{HEADER}\nextra YWdl\nindex 0\n{ROOT}\n\n{CHECKPOINT}");
        assert_eq!(TlogProof::parse(&text).unwrap().encode(), text);
    }

    #[test]
    fn a_malformed_proof_is_refused_with_its_line() {
        let check = |text: &str, line: usize| {
            assert_eq!(
                TlogProof::parse(text),
                Err(TlogProofError::Line { line }),
                "{text:?}"
            );
        };
        let with = |head: &str| format!("{HEADER}\n{head}\n\n{CHECKPOINT}");
        check("", 1);
        check(&format!("\n{}", with("index 1")), 1);
        check(&with("index 1").replace("@v1", "@v2"), 1);
        check(&with("index 1").replace('\n', "\r\n"), 1);
        check(HEADER, 2);
        check(&format!("{HEADER}\n\nindex 1\n\n{CHECKPOINT}"), 2);
        for index in [
            "",
            "index",
            "index ",
            "index 01",
            "index +1",
            "index -1",
            "index  1",
            "Index 1",
            "index 1 ",
            "index 18446744073709551616",
        ] {
            check(&with(index), 2);
        }
        check(&with(ROOT), 2);
        check(&with("extra AB==\nindex 1"), 2);
        check(&with("extra\nindex 1"), 2);
        check(&with("extra YWdl\nextra YWdl\nindex 1"), 3);
        check(&with("extra YWdl"), 2);
        check(&with("index 1\nextra YWdl"), 3);
        check(&with("index 1\nindex 1"), 3);
        for hash in [
            &ROOT[1..],
            &ROOT[..43],
            "AAAA",
            &ROOT.replace("FU=", "FV="),
            &format!(" {ROOT}"),
        ] {
            check(&with(&format!("index 1\n{ROOT}\n{hash}")), 4);
        }
        check(
            &with(&format!("index 1{}", format!("\n{ROOT}").repeat(65))),
            67,
        );
    }

    #[test]
    fn no_truncated_proof_is_read() {
        let text = format!("{HEADER}\nextra YWdl\nindex 0\n{ROOT}\n\n{CHECKPOINT}");
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            assert!(
                TlogProof::parse(&text[..end]).is_err(),
                "the first {end} bytes"
            );
        }
    }
}
