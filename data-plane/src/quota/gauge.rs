//! How many sessions there are at once under one limit, on this node: seats that are left on drop.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tidegate_proto::quota::WithoutLedger;

/// A count of sessions.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU32);

/// A place; left on drop.
#[derive(Debug)]
pub struct Seat(Arc<Gauge>);

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// As many as may be.
    Full,
    /// The ledger is away.
    Unavailable,
}

impl Gauge {
    /// Takes a seat.
    ///
    /// # Errors
    /// When it is full.
    pub async fn enter(
        self: &Arc<Self>,
        limit: NonZeroU32,
        _: WithoutLedger,
    ) -> Result<Seat, NoSeat> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= limit.get() {
            self.0.fetch_sub(1, Ordering::Relaxed);
            return Err(NoSeat::Full);
        }
        Ok(Seat(self.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, sync::Arc};

    use tidegate_proto::quota::WithoutLedger;

    use super::{Gauge, NoSeat};

    #[tokio::test]
    async fn the_seat_after_the_last_is_refused_until_one_is_left() {
        let gauge = Arc::new(Gauge::default());
        let two = NonZeroU32::new(2).unwrap();
        let enter = || gauge.enter(two, WithoutLedger::Share);
        let first = enter().await.unwrap();
        let _second = enter().await.unwrap();
        assert_eq!(enter().await.unwrap_err(), NoSeat::Full);
        drop(first);
        assert!(enter().await.is_ok());
    }

    #[tokio::test]
    async fn ten_thousand_who_come_and_go_leave_no_seat_taken() {
        let gauge = Arc::new(Gauge::default());
        for _ in 0..10_000 {
            drop(gauge.enter(NonZeroU32::MIN, WithoutLedger::Share).await);
        }
        assert!(
            gauge
                .enter(NonZeroU32::MIN, WithoutLedger::Share)
                .await
                .is_ok()
        );
    }
}
