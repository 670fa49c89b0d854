//! Finds the ends of messages in a gRPC body: five bytes of head, then as many as it says.

/// A reader of heads, which doesn't keep messages.
#[derive(Debug, Default)]
pub(super) struct Messages {
    head: [u8; 5],
    /// Bytes of the head that have been read.
    known: usize,
    /// Bytes of the message that are missing.
    left: usize,
    /// Bytes of the message that have arrived, head included.
    there: usize,
}

// === impl Messages ===

impl Messages {
    /// Reads the next piece, and returns how many bytes of an incomplete message have arrived.
    pub(super) fn read(&mut self, mut piece: &[u8]) -> usize {
        while let [first, rest @ ..] = piece {
            if self.known < self.head.len() {
                self.head[self.known] = *first;
                self.known += 1;
                self.there += 1;
                piece = rest;
                if self.known == self.head.len() {
                    let [_, length @ ..] = self.head;
                    self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                }
            } else {
                let taken = self.left.min(piece.len());
                self.left -= taken;
                self.there += taken;
                piece = &piece[taken..];
            }
            if self.known == self.head.len() && self.left == 0 {
                *self = Self::default();
            }
        }
        self.there
    }
}

#[cfg(test)]
mod tests {
    use super::Messages;

    #[test]
    fn only_incomplete_messages_are_counted_however_they_are_cut() {
        let message = [&[0, 0, 0, 0, 7][..], b"content"].concat();
        let both = [&message[..], &[0, 0, 0, 0, 0], &message].concat();
        for cut in 1..both.len() {
            let mut messages = Messages::default();
            let unfinished = messages.read(&both[..cut]);
            let expected = match cut {
                0..12 => cut,
                12..17 => cut - 12,
                _ => cut - 17,
            };
            assert_eq!(unfinished, expected, "after {cut} bytes");
            assert_eq!(messages.read(&both[cut..]), 0);
        }
    }
}
