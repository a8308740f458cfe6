//! How messages become the bytes of an answer. Receipts of a batch are encoded one by one where they are made: a
//! thousand that wait for each other take megabytes in small pieces, which have left the processor's caches when their turn
//! to be encoded comes.

use std::{fmt, marker::PhantomData};

use prost::{Message, bytes::Bytes};
use tonic::{
    Status,
    codec::{self, EncodeBuf, Encoder},
};
use tonic_prost::ProstDecoder;

use crate::pb;

/// A `RecordBatchResponse` whose receipts are encoded already. The same bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct EncodedReceipts {
    /// The receipts, in order.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    receipts: Vec<Bytes>,
}

impl EncodedReceipts {
    /// Encodes these.
    pub(super) fn of(receipts: &[pb::Receipt]) -> Self {
        let mut encoded = Self::default();
        for receipt in receipts {
            encoded.push(receipt);
        }
        encoded
    }

    /// Encodes one more.
    pub(super) fn push(&mut self, receipt: &pb::Receipt) {
        self.receipts.push(receipt.encode_to_vec().into());
    }
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
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn receipts() -> impl Strategy<Value = Vec<pb::Receipt>> {
        let bytes = || vec(any::<u8>(), 0..300);
        let flag = ("[A-Z_]{0,20}", 0..4).prop_map(|(code, severity)| pb::Flag {
            code,
            severity,
            ..pb::Flag::default()
        });
        let parts = (any::<u64>(), bytes(), vec(bytes(), 0..4), vec(flag, 0..4));
        let receipt = parts.prop_map(|(index, entry, inclusion_proof, flags)| pb::Receipt {
            index,
            entry: entry.into(),
            inclusion_proof,
            flags,
            ..pb::Receipt::default()
        });
        vec(receipt, 0..5)
    }

    proptest! {
        #[test]
        fn receipts_that_were_encoded_one_by_one_are_the_same_bytes(receipts in receipts()) {
            let encoded = EncodedReceipts::of(&receipts).encode_to_vec();
            let whole = pb::RecordBatchResponse { receipts };
            prop_assert_eq!(encoded.as_slice(), whole.encode_to_vec());
            prop_assert_eq!(pb::RecordBatchResponse::decode(encoded.as_slice()), Ok(whole));
        }
    }
}
