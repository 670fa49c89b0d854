//! Large values, in pieces: how a value is cut, where its pieces lie, and how many there are. sled would put a large value
//! into a file of its own. Called by `log`.

use sled::IVec;

use crate::store::StoreError;

/// What a value may have at most without being cut. sled keeps up to some twenty values in a page, and a page of 128 KiB
/// becomes a blob.
pub(super) const PIECE: usize = 4096;
/// In place of a large value: this byte, with which no record begins, and how many pieces there are.
const IN_PIECES: u8 = 0;

/// Whose values pieces are: the first byte of their keys.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum PieceKind {
    Record = b'r',
    Audit = b'a',
}

/// What is kept under a value's key, and its pieces.
pub(super) fn cut(value: &[u8]) -> (Vec<u8>, std::slice::Chunks<'_, u8>) {
    if value.len() <= PIECE && value.first() != Some(&IN_PIECES) {
        let none: &[u8] = &[];
        return (value.to_vec(), none.chunks(PIECE));
    }
    let pieces = value.chunks(PIECE);
    let n_pieces = u32::try_from(pieces.len()).expect("no value has 16 TiB");
    let mut stored = vec![IN_PIECES];
    stored.extend(n_pieces.to_be_bytes());
    (stored, pieces)
}

/// In how many pieces a value lies; none when it is there itself.
pub(super) fn pieces_of(stored: &IVec) -> Result<u32, StoreError> {
    match stored.split_first() {
        Some((&IN_PIECES, n_pieces)) => n_pieces
            .try_into()
            .map(u32::from_be_bytes)
            .map_err(|_| StoreError::corrupt("a large value does not tell its pieces")),
        _ => Ok(0),
    }
}

pub(super) fn piece_key(kind: PieceKind, key: &[u8], index: u32) -> Vec<u8> {
    let mut piece = vec![kind as u8];
    piece.extend_from_slice(key);
    piece.push(0);
    piece.extend(index.to_be_bytes());
    piece
}
