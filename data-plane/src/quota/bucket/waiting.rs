//! Who waits for a bucket: each in a place that is given up with whoever holds it, woken once when the bucket may answer
//! otherwise.

use std::{
    collections::HashMap,
    future::poll_fn,
    mem,
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
};

use super::Bucket;
use crate::quota::{
    account::{Account, Phase},
    time::Tick,
};

/// Those who wait, by the number of their place.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: HashMap<u64, Waker>,
    places: u64,
}

/// A place among those who wait for a bucket; given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    bucket: Arc<Bucket>,
    number: u64,
}

// === impl Bucket ===

impl Bucket {
    /// Waits until the ledger has said something about the current window, or cannot be asked. Asks for something to spend.
    pub async fn known(self: &Arc<Self>) {
        let asks = |account: &mut Account| account.need = account.need.max(1);
        self.until(|account| account.phase != Phase::Unknown, asks)
            .await;
    }

    /// Waits until the ledger has said something about the current window since then, or cannot be asked. Asks for nothing.
    pub async fn heard(self: &Arc<Self>, since: Tick) {
        let asks = |account: &mut Account| account.tell = true;
        self.until(|account| account.heard >= since, asks).await;
    }

    async fn until(
        self: &Arc<Self>,
        is_enough: impl Fn(&Account) -> bool,
        asks: impl Fn(&mut Account),
    ) {
        let mut place = None;
        poll_fn(|cx| {
            if self.has_said(&is_enough) {
                return Poll::Ready(());
            }
            Place::wait_at(&mut place, self, cx.waker());
            asks(&mut self.account());
            self.call();
            // An answer in between woke nobody.
            if self.has_said(&is_enough) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether the ledger has said enough about the current window, or cannot be asked.
    fn has_said(&self, is_enough: impl Fn(&Account) -> bool) -> bool {
        if self.count_only.load(Ordering::Relaxed) || self.link.is_local() {
            return true;
        }
        let mut account = self.account();
        self.roll(&mut account, Tick::now());
        is_enough(&account) || self.is_alone(&account)
    }

    /// Wakes all who wait.
    pub(in crate::quota) fn wake(&self) {
        let wakers = mem::take(&mut self.waiters().wakers);
        wakers.into_values().for_each(Waker::wake);
    }
}

// === impl Waiters ===

impl Waiters {
    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

// === impl Place ===

impl Place {
    /// Has a waker woken once, when [`Bucket::take`] may answer otherwise; in the place that there is, or in a new one
    /// where that is at another bucket. Try again after this: an answer may have come before.
    pub fn wait_at(place: &mut Option<Self>, bucket: &Arc<Bucket>, waker: &Waker) {
        place.take_if(|place| !Arc::ptr_eq(&place.bucket, bucket));
        place.get_or_insert_with(|| Self::at(bucket)).wait(waker);
    }

    fn at(bucket: &Arc<Bucket>) -> Self {
        let mut waiters = bucket.waiters();
        waiters.places += 1;
        Self {
            number: waiters.places,
            bucket: bucket.clone(),
        }
    }

    fn wait(&self, waker: &Waker) {
        let is_first = {
            let mut waiters = self.bucket.waiters();
            waiters.wakers.insert(self.number, waker.clone());
            waiters.wakers.len() == 1
        };
        // Who waits for the window to turn wants to be visited then.
        if is_first {
            self.bucket.call();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waker = self.bucket.waiters().wakers.remove(&self.number);
        // Outside the lock: it may be the last that holds its task.
        drop(waker);
    }
}
