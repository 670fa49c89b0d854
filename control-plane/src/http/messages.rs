//! Where in a gRPC body a message ends and how much of it is there: five bytes of head, then as many as they say.

/// A reader of heads; it keeps no message.
#[derive(Debug, Default)]
pub(super) struct Messages {
    head: [u8; 5],
    /// Bytes of the head that were read.
    known: usize,
    /// Bytes of the message that are still to come.
    left: usize,
    /// Bytes of the message that are there, head included.
    there: usize,
}

// === impl Messages ===

impl Messages {
    /// Reads on, and says how many bytes are there of a message that is not whole.
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
    fn only_what_is_not_whole_is_counted_however_it_is_cut() {
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
