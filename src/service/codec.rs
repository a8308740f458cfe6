//! How messages become the bytes of an answer. Each receipt is encoded where it is made, straight from its parts. A
//! thousand messages that wait for each other take megabytes in small pieces, which have left the processor's caches when
//! their turn to be encoded comes.

use std::{fmt, marker::PhantomData};

use prost::{
    Message,
    bytes::Bytes,
    encoding::{encode_varint, encoded_len_varint},
};
use tonic::{
    Status,
    codec::{self, EncodeBuf, Encoder},
};
use tonic_prost::ProstDecoder;

use crate::{
    record::entry::{put_bytes, put_unless_zero},
    rules::flags::Flag,
    tlog::Hash,
};

/// A `RecordResponse` whose receipt is encoded already. The same bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EncodedReceipt {
    /// The receipt.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub receipt: Option<Bytes>,
}

/// A `RecordBatchResponse` whose receipts are encoded already. The same bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EncodedReceipts {
    /// The receipts, in order.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub receipts: Vec<Bytes>,
}

/// A `RecordStreamResponse` whose receipt is encoded already: that, or an error. The same bytes.
#[derive(Clone, PartialEq, Message)]
pub struct EncodedOutcome {
    /// The receipt.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub receipt: Option<Bytes>,
    /// Why there is none.
    #[prost(message, optional, tag = "2")]
    pub error: Option<tonic_types::Status>,
}

/// What a `Receipt` says, wherever it lies.
#[derive(Debug, Default)]
pub(super) struct ReceiptParts<'a> {
    pub(super) index: u64,
    pub(super) leaf_hash: &'a [u8],
    pub(super) entry: &'a [u8],
    pub(super) inclusion_proof: &'a [Hash],
    pub(super) checkpoint: &'a str,
    pub(super) flags: &'a [Flag],
}

impl ReceiptParts<'_> {
    /// The message, in one piece of memory.
    pub(super) fn encode(&self) -> Bytes {
        let mut buf = Vec::with_capacity(self.encoded_len());
        put_unless_zero(&mut buf, 0x08, self.index);
        put_unless_empty(&mut buf, 0x12, self.leaf_hash);
        put_unless_empty(&mut buf, 0x1a, self.entry);
        for hash in self.inclusion_proof {
            put_bytes(&mut buf, 0x22, hash.as_bytes());
        }
        put_unless_empty(&mut buf, 0x2a, self.checkpoint.as_bytes());
        for flag in self.flags {
            buf.push(0x32);
            encode_varint(as_u64(flag_len(flag)), &mut buf);
            put_unless_empty(&mut buf, 0x0a, flag.code.as_bytes());
            put_unless_zero(&mut buf, 0x10, severity(flag));
            put_unless_empty(&mut buf, 0x1a, flag.field.as_bytes());
            put_unless_empty(&mut buf, 0x22, flag.text.as_bytes());
        }
        buf.into()
    }

    fn encoded_len(&self) -> usize {
        let proof = self.inclusion_proof.iter();
        let proof: usize = proof.map(|hash| bytes_len(hash.as_bytes())).sum();
        let flags = self.flags.iter().map(|flag| {
            let len = flag_len(flag);
            1 + encoded_len_varint(as_u64(len)) + len
        });
        number_len(self.index)
            + bytes_len(self.leaf_hash)
            + bytes_len(self.entry)
            + proof
            + bytes_len(self.checkpoint.as_bytes())
            + flags.sum::<usize>()
    }
}

/// The length of a `Flag`.
fn flag_len(flag: &Flag) -> usize {
    bytes_len(flag.code.as_bytes())
        + number_len(severity(flag))
        + bytes_len(flag.field.as_bytes())
        + bytes_len(flag.text.as_bytes())
}

/// The number of a severity; none is below zero.
fn severity(flag: &Flag) -> u64 {
    u64::try_from(i32::from(flag.severity)).unwrap_or_default()
}

fn put_unless_empty(buf: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_bytes(buf, tag, bytes);
    }
}

/// The length of a field of bytes or text, with the byte before it.
fn bytes_len(bytes: &[u8]) -> usize {
    match bytes.len() {
        0 => 0,
        len => 1 + encoded_len_varint(as_u64(len)) + len,
    }
}

/// The length of a number's field, with the byte before it.
fn number_len(number: u64) -> usize {
    match number {
        0 => 0,
        number => 1 + encoded_len_varint(number),
    }
}

fn as_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Protobuf, as the library encodes and decodes it; but a message is measured first. The library's encoder lets a buffer of
/// 8 KB grow to the message's megabytes by doubling, and copies what it has each time.
pub struct Codec<T, U> {
    of: PhantomData<(T, U)>,
}

impl<T, U> fmt::Debug for Codec<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("protobuf")
    }
}

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self { of: PhantomData }
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + 'static,
    U: Message + Default + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Measuring<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Measuring<T> {
        Measuring { of: PhantomData }
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::default()
    }
}

/// Makes room for a message, and encodes it.
#[derive(Debug)]
pub struct Measuring<T> {
    of: PhantomData<T>,
}

impl<T: Message> Encoder for Measuring<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buf.reserve(message.encoded_len());
        message.encode_raw(buf);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::{
        pb::{self, Severity, record_stream_response::Outcome},
        rules::flags::codes,
    };

    /// What a receipt says, as it may be.
    #[derive(Clone, Debug, Default)]
    struct Told {
        index: u64,
        leaf_hash: Vec<u8>,
        entry: Vec<u8>,
        proof: Vec<[u8; 32]>,
        checkpoint: String,
        flags: Vec<Flag>,
    }

    impl Told {
        fn encoded(&self) -> Bytes {
            let proof: Vec<Hash> = self.proof.iter().copied().map(Hash::new).collect();
            let parts = ReceiptParts {
                index: self.index,
                leaf_hash: &self.leaf_hash,
                entry: &self.entry,
                inclusion_proof: &proof,
                checkpoint: &self.checkpoint,
                flags: &self.flags,
            };
            parts.encode()
        }

        fn message(&self) -> pb::Receipt {
            let flag = |flag: &Flag| pb::Flag {
                code: flag.code.to_owned(),
                severity: flag.severity.into(),
                field: flag.field.clone().into_owned(),
                text: flag.text.to_owned(),
            };
            pb::Receipt {
                index: self.index,
                leaf_hash: self.leaf_hash.clone().into(),
                entry: self.entry.clone().into(),
                inclusion_proof: self.proof.iter().map(|hash| hash.to_vec().into()).collect(),
                checkpoint: self.checkpoint.clone(),
                flags: self.flags.iter().map(flag).collect(),
            }
        }
    }

    fn told() -> impl Strategy<Value = Told> {
        let severity = select(
            &[
                Severity::Unspecified,
                Severity::Info,
                Severity::Deviation,
                Severity::Critical,
            ][..],
        );
        let texts = ["", codes::DANGLING.text, codes::UNKNOWN_LOT.text];
        let flag = ("[a-z_.]{0,200}", severity, 0..3_usize);
        let flag = flag.prop_map(move |(field, severity, text)| Flag {
            code: ["", "DANGLING"][text % 2],
            severity,
            field: field.into(),
            text: texts[text],
        });
        let parts = (
            prop_oneof![0..300_u64, any::<u64>()],
            vec(any::<u8>(), 0..40),
            vec(any::<u8>(), 0..300),
            vec(any::<[u8; 32]>(), 0..4),
            "[a-z\n]{0,200}",
            vec(flag, 0..4),
        );
        let told = parts.prop_map(|(index, leaf_hash, entry, proof, checkpoint, flags)| Told {
            index,
            leaf_hash,
            entry,
            proof,
            checkpoint,
            flags,
        });
        prop_oneof![1 => Just(Told::default()), 9 => told]
    }

    proptest! {
        #[test]
        fn a_receipt_that_was_encoded_from_its_parts_is_the_same_bytes(told in told()) {
            let (encoded, message) = (told.encoded(), told.message());
            prop_assert_eq!(&encoded[..], message.encode_to_vec());
            let alone = EncodedReceipt { receipt: Some(encoded.clone()) };
            let whole = pb::RecordResponse { receipt: Some(message.clone()) };
            prop_assert_eq!(alone.encode_to_vec(), whole.encode_to_vec());
            let outcome = EncodedOutcome { receipt: Some(encoded), error: None };
            let whole = pb::RecordStreamResponse { outcome: Some(Outcome::Receipt(message)) };
            prop_assert_eq!(outcome.encode_to_vec(), whole.encode_to_vec());
        }

        #[test]
        fn receipts_that_were_encoded_one_by_one_are_the_same_bytes(told in vec(told(), 0..5)) {
            let receipts = told.iter().map(Told::encoded).collect();
            let encoded = EncodedReceipts { receipts }.encode_to_vec();
            let receipts = told.iter().map(Told::message).collect();
            let whole = pb::RecordBatchResponse { receipts };
            prop_assert_eq!(encoded.as_slice(), whole.encode_to_vec());
            prop_assert_eq!(pb::RecordBatchResponse::decode(encoded.as_slice()), Ok(whole));
        }
    }

    #[test]
    fn an_error_of_a_stream_is_the_same_bytes() {
        for message in ["", "refused"] {
            let error = tonic_types::Status {
                code: 3,
                message: message.to_owned(),
                ..tonic_types::Status::default()
            };
            let outcome = EncodedOutcome {
                receipt: None,
                error: Some(error.clone()),
            };
            let whole = pb::RecordStreamResponse {
                outcome: Some(Outcome::Error(error)),
            };
            assert_eq!(outcome.encode_to_vec(), whole.encode_to_vec());
        }
    }
}
