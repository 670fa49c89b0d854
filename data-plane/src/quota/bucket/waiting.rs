//! The waiters of a bucket. Each has a handle that unregisters it on drop, and is woken once when the bucket may answer
//! differently.

use std::{
    collections::HashMap,
    future::poll_fn,
    mem,
    sync::{Arc, atomic::Ordering},
    task::{Poll, Waker},
};

use super::Bucket;
use crate::quota::{
    account::{Account, WindowState},
    time::Tick,
};

/// The waiters, by the id of their handle.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    wakers: HashMap<u64, Waker>,
    last_id: u64,
}

/// The registration of a waiter; dropping it unregisters the waiter.
#[derive(Debug)]
pub struct WaitHandle {
    bucket: Arc<Bucket>,
    id: u64,
}

// === impl Bucket ===

impl Bucket {
    /// Waits until the ledger has answered about the current window, or is unavailable. Requests a grant.
    pub async fn known(self: &Arc<Self>) {
        let asks = |account: &mut Account| account.need = account.need.max(1);
        self.until(|account| account.window_state != WindowState::Unknown, asks)
            .await;
    }

    /// Waits until the ledger has answered about the current window after `since`, or is unavailable. Requests no
    /// grant.
    pub async fn heard(self: &Arc<Self>, since: Tick) {
        let asks = |account: &mut Account| account.report_due = true;
        self.until(|account| account.refreshed >= since, asks).await;
    }

    async fn until(
        self: &Arc<Self>,
        is_enough: impl Fn(&Account) -> bool,
        asks: impl Fn(&mut Account),
    ) {
        let mut handle = None;
        poll_fn(|cx| {
            if self.has_said(&is_enough) {
                return Poll::Ready(());
            }
            WaitHandle::wait_at(&mut handle, self, cx.waker());
            asks(&mut self.account());
            self.enqueue();
            // An answer in between would not have woken this task.
            if self.has_said(&is_enough) {
                return Poll::Ready(());
            }
            Poll::Pending
        })
        .await;
    }

    /// Whether the answer about the current window is recent enough, or the ledger is unavailable.
    fn has_said(&self, is_enough: impl Fn(&Account) -> bool) -> bool {
        if self.count_only.load(Ordering::Relaxed) || self.link.is_local() {
            return true;
        }
        let mut account = self.account();
        self.roll(&mut account, Tick::now());
        is_enough(&account) || self.has_no_ledger(&account)
    }

    /// Wakes all waiters.
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

// === impl WaitHandle ===

impl WaitHandle {
    /// Registers a waker to be woken once, when [`Bucket::take`] may answer differently. Reuses the handle, unless it
    /// is for another bucket. Retry after this call: an answer may have come before.
    pub fn wait_at(handle: &mut Option<Self>, bucket: &Arc<Bucket>, waker: &Waker) {
        handle.take_if(|handle| !Arc::ptr_eq(&handle.bucket, bucket));
        handle.get_or_insert_with(|| Self::at(bucket)).wait(waker);
    }

    fn at(bucket: &Arc<Bucket>) -> Self {
        let mut waiters = bucket.waiters();
        waiters.last_id += 1;
        Self {
            id: waiters.last_id,
            bucket: bucket.clone(),
        }
    }

    fn wait(&self, waker: &Waker) {
        let is_first = {
            let mut waiters = self.bucket.waiters();
            waiters.wakers.insert(self.id, waker.clone());
            waiters.wakers.len() == 1
        };
        // The bucket must be refreshed at the end of the window to wake its waiters.
        if is_first {
            self.bucket.enqueue();
        }
    }
}

impl Drop for WaitHandle {
    fn drop(&mut self) {
        let waker = self.bucket.waiters().wakers.remove(&self.id);
        // Dropped outside the lock: it may be the last reference to its task.
        drop(waker);
    }
}
