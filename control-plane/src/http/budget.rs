//! The memory that the requests of a listener may hold from their head until their answer is written: in all, for each
//! address, and a little for each connection that nobody else can take away. Knows nothing of HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What every connection has for itself, whatever the others hold: enough for one request of an ordinary size, so that
/// an address whose share is spent can still sign in.
pub const OWN_BYTES: usize = 64 * 1024;
/// One address has this part of all.
const SHARE: usize = 4;
/// What one address has at the least: more than the largest upload.
const SHARE_LEAST: usize = 16 * 1024 * 1024;

/// The budget of a listener. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    most: usize,
    most_each: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// What one connection holds. Clones are handles on the same.
#[derive(Clone, Debug)]
pub struct Account(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    budget: Budget,
    from: IpAddr,
    held: Mutex<usize>,
    charges: Mutex<Charges>,
    answers: Mutex<Answers>,
}

/// The charges of a connection: how many there are, and since when there is none.
#[derive(Debug)]
struct Charges {
    live: usize,
    none_since: Instant,
}

/// The answers that are not written yet, oldest first.
#[derive(Debug, Default)]
struct Answers {
    next: u64,
    waiting: BTreeMap<u64, Instant>,
}

/// Bytes that are held; dropping it gives them back.
#[derive(Debug)]
pub struct Charge {
    account: Account,
    bytes: Mutex<usize>,
    /// Where the charge is for an answer: its place among those that wait.
    answer: Option<u64>,
}

/// There is no room: the listener's budget is spent, or the share of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

// === impl Budget ===

impl Budget {
    /// So many bytes in all; one address has a quarter of them, but at least 16 MiB.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self::of(most, (most / SHARE).max(SHARE_LEAST).min(most))
    }

    /// So many bytes in all, which one address may have alone.
    #[must_use]
    pub fn unshared(most: usize) -> Self {
        Self::of(most, most)
    }

    fn of(most: usize, most_each: usize) -> Self {
        Self(Arc::new(Pool {
            most,
            most_each,
            held: Mutex::default(),
        }))
    }

    /// The account of a new connection.
    #[must_use]
    pub fn account(&self, from: IpAddr) -> Account {
        Account(Arc::new(Ledger {
            budget: self.clone(),
            from,
            held: Mutex::default(),
            charges: Mutex::new(Charges {
                live: 0,
                none_since: Instant::now(),
            }),
            answers: Mutex::default(),
        }))
    }

    fn take(&self, from: IpAddr, bytes: usize) -> Result<(), Spent> {
        let mut held = lock(&self.0.held);
        let each = held.each.get(&from).copied().unwrap_or(0);
        if held.all + bytes > self.0.most || each + bytes > self.0.most_each {
            return Err(Spent);
        }
        held.all += bytes;
        held.each.insert(from, each + bytes);
        Ok(())
    }

    fn give(&self, from: IpAddr, bytes: usize) {
        let mut held = lock(&self.0.held);
        held.all -= bytes;
        if let Some(each) = held.each.get_mut(&from) {
            *each -= bytes;
            if *each == 0 {
                held.each.remove(&from);
            }
        }
    }
}

// === impl Account ===

impl Account {
    /// A charge of nothing yet.
    #[must_use]
    pub fn charge(&self) -> Charge {
        lock(&self.0.charges).live += 1;
        Charge {
            account: self.clone(),
            bytes: Mutex::default(),
            answer: None,
        }
    }

    /// A charge for an answer, which counts as waiting until it is dropped.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn answer(&self, bytes: usize) -> Result<Charge, Spent> {
        let mut charge = self.charge();
        charge.add(bytes)?;
        let mut answers = lock(&self.0.answers);
        let id = answers.next;
        answers.next += 1;
        answers.waiting.insert(id, Instant::now());
        charge.answer = Some(id);
        Ok(charge)
    }

    /// Whether an answer has waited for so long to be written.
    #[must_use]
    pub fn is_stalled(&self, for_long: Duration) -> bool {
        let answers = lock(&self.0.answers);
        let oldest = answers.waiting.first_key_value();
        oldest.is_some_and(|(_, since)| since.elapsed() >= for_long)
    }

    /// For how long nothing was charged: no request was open, and no answer unwritten. `None` while there is one.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        let charges = lock(&self.0.charges);
        (charges.live == 0).then(|| charges.none_since.elapsed())
    }

    fn take(&self, bytes: usize) -> Result<(), Spent> {
        let mut held = lock(&self.0.held);
        let shared = beyond(*held + bytes) - beyond(*held);
        if shared > 0 {
            self.0.budget.take(self.0.from, shared)?;
        }
        *held += bytes;
        Ok(())
    }

    fn give(&self, bytes: usize) {
        let mut held = lock(&self.0.held);
        let shared = beyond(*held) - beyond(*held - bytes);
        *held -= bytes;
        if shared > 0 {
            self.0.budget.give(self.0.from, shared);
        }
    }
}

// === impl Charge ===

impl Charge {
    /// Holds more.
    ///
    /// # Errors
    /// When there is no room for it; what is held stays held.
    pub fn add(&self, bytes: usize) -> Result<(), Spent> {
        let mut mine = lock(&self.bytes);
        self.account.take(bytes)?;
        *mine += bytes;
        Ok(())
    }

    /// Holds so much from now on.
    ///
    /// # Errors
    /// When there is no room for it; what is held stays held.
    pub fn set(&self, bytes: usize) -> Result<(), Spent> {
        let mut mine = lock(&self.bytes);
        match bytes.checked_sub(*mine) {
            Some(more) => self.account.take(more)?,
            None => self.account.give(*mine - bytes),
        }
        *mine = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(id) = self.answer {
            lock(&self.account.0.answers).waiting.remove(&id);
        }
        self.account.give(*lock(&self.bytes));
        let mut charges = lock(&self.account.0.charges);
        charges.live -= 1;
        charges.none_since = Instant::now();
    }
}

/// What of a connection's bytes is not its own.
const fn beyond(bytes: usize) -> usize {
    bytes.saturating_sub(OWN_BYTES)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Budget, OWN_BYTES, SHARE_LEAST, Spent};

    const MIB: usize = 1024 * 1024;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_holds_its_share_and_leaves_the_rest_to_others() {
        let budget = Budget::new(64 * MIB);
        let greedy = budget.account(address(1));
        let all = greedy.charge();
        all.add(OWN_BYTES + SHARE_LEAST).unwrap();
        assert_eq!(all.add(1), Err(Spent));
        assert_eq!(budget.account(address(1)).charge().add(MIB), Err(Spent));
        let other = budget.account(address(2)).charge();
        other.add(12 * MIB).unwrap();
        drop(all);
        greedy.charge().add(SHARE_LEAST).unwrap();
    }

    #[test]
    fn many_addresses_hold_the_budget_together_and_no_more() {
        let budget = Budget::new(64 * MIB);
        let held: Vec<_> = (0..4)
            .map(|last| {
                let charge = budget.account(address(last)).charge();
                charge.add(OWN_BYTES + SHARE_LEAST).unwrap();
                charge
            })
            .collect();
        let late = budget.account(address(9)).charge();
        assert_eq!(late.add(OWN_BYTES + 1), Err(Spent));
        late.add(OWN_BYTES).unwrap();
        drop(held);
        late.add(MIB).unwrap();
    }

    #[test]
    fn what_is_held_shrinks_and_grows_and_all_of_it_comes_back() {
        let budget = Budget::new(SHARE_LEAST);
        let account = budget.account(address(1));
        let charge = account.charge();
        charge.set(OWN_BYTES + SHARE_LEAST).unwrap();
        assert_eq!(charge.set(OWN_BYTES + SHARE_LEAST + 1), Err(Spent));
        charge.set(10).unwrap();
        let more = account.charge();
        more.add(SHARE_LEAST).unwrap();
        drop((charge, more));
        account.charge().add(OWN_BYTES + SHARE_LEAST).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_noticed_and_one_that_is_written_is_not() {
        let limit = Duration::from_secs(60);
        let account = Budget::new(SHARE_LEAST).account(address(1));
        let written = account.answer(10).unwrap();
        tokio::time::advance(Duration::from_secs(40)).await;
        let waiting = account.answer(10).unwrap();
        drop(written);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(!account.is_stalled(limit));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(account.is_stalled(limit));
        drop(waiting);
        assert!(!account.is_stalled(limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_charge_on() {
        let account = Budget::new(SHARE_LEAST).account(address(1));
        let second = Duration::from_secs(1);
        tokio::time::advance(second).await;
        assert_eq!(account.idle(), Some(second));
        let (request, answer) = (account.charge(), account.answer(10).unwrap());
        tokio::time::advance(second).await;
        assert_eq!(account.idle(), None);
        drop(request);
        assert_eq!(account.idle(), None);
        drop(answer);
        assert_eq!(account.idle(), Some(Duration::ZERO));
        // A charge that finds no room leaves nothing behind.
        assert!(account.answer(usize::MAX / 2).is_err());
        tokio::time::advance(second).await;
        assert_eq!(account.idle(), Some(second));
    }
}
