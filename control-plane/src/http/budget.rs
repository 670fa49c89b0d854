//! A budget for the memory of a listener's requests, from the head until the response is written: in all, for each
//! address, and a reserve for each connection. Knows nothing of HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The reserve of each connection, whatever the others hold: enough for one ordinary request, so that a client whose
/// address has used up its share can still sign in.
pub const RESERVE_BYTES: usize = 64 * 1024;
/// One address may use this fraction of the budget.
const SHARE: usize = 4;
/// What one address may use at least: more than the largest upload.
const MIN_SHARE: usize = 16 * 1024 * 1024;

/// The budget of a listener. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    most: usize,
    most_each: usize,
    held: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// The part of one connection. Clones share it.
#[derive(Clone, Debug)]
pub struct ConnectionBudget(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    budget: Budget,
    from: IpAddr,
    held: Mutex<usize>,
    charges: Mutex<Charges>,
    responses: Mutex<Responses>,
}

/// The charges of a connection: their number, and since when there is none.
#[derive(Debug)]
struct Charges {
    live: usize,
    none_since: Instant,
}

/// The responses that aren't written yet, oldest first.
#[derive(Debug, Default)]
struct Responses {
    next: u64,
    waiting: BTreeMap<u64, Instant>,
}

/// Bytes in use; dropping it releases them.
#[derive(Debug)]
pub struct Charge {
    connection: ConnectionBudget,
    bytes: Mutex<usize>,
    /// The key among the waiting responses, if the charge is for a response.
    response: Option<u64>,
}

/// The listener's budget or the share of the address is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetExceeded;

// === impl Budget ===

impl Budget {
    /// A budget of `most` bytes; one address may use a quarter, but at least 16 MiB.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self::of(most, (most / SHARE).max(MIN_SHARE).min(most))
    }

    /// A budget of `most` bytes, which one address may use alone.
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

    /// The part of a new connection.
    #[must_use]
    pub fn connection(&self, from: IpAddr) -> ConnectionBudget {
        ConnectionBudget(Arc::new(ConnectionState {
            budget: self.clone(),
            from,
            held: Mutex::default(),
            charges: Mutex::new(Charges {
                live: 0,
                none_since: Instant::now(),
            }),
            responses: Mutex::default(),
        }))
    }

    fn take(&self, from: IpAddr, bytes: usize) -> Result<(), BudgetExceeded> {
        let mut held = lock(&self.0.held);
        let each = held.each.get(&from).copied().unwrap_or(0);
        if held.all + bytes > self.0.most || each + bytes > self.0.most_each {
            return Err(BudgetExceeded);
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

// === impl ConnectionBudget ===

impl ConnectionBudget {
    /// A charge of 0 bytes.
    #[must_use]
    pub fn charge(&self) -> Charge {
        lock(&self.0.charges).live += 1;
        Charge {
            connection: self.clone(),
            bytes: Mutex::default(),
            response: None,
        }
    }

    /// A charge for a response, which counts as waiting until it's dropped.
    ///
    /// # Errors
    /// When the budget is exceeded.
    pub fn response(&self, bytes: usize) -> Result<Charge, BudgetExceeded> {
        let mut charge = self.charge();
        charge.add(bytes)?;
        let mut responses = lock(&self.0.responses);
        let id = responses.next;
        responses.next += 1;
        responses.waiting.insert(id, Instant::now());
        charge.response = Some(id);
        Ok(charge)
    }

    /// Whether a response has waited for so long to be written.
    #[must_use]
    pub fn is_stalled(&self, for_long: Duration) -> bool {
        let responses = lock(&self.0.responses);
        let oldest = responses.waiting.first_key_value();
        oldest.is_some_and(|(_, since)| since.elapsed() >= for_long)
    }

    /// How long there has been no charge, that is no open request and no unwritten response. `None` while there is one.
    #[must_use]
    pub fn idle(&self) -> Option<Duration> {
        let charges = lock(&self.0.charges);
        (charges.live == 0).then(|| charges.none_since.elapsed())
    }

    fn take(&self, bytes: usize) -> Result<(), BudgetExceeded> {
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
    /// Adds bytes.
    ///
    /// # Errors
    /// When the budget is exceeded; the charge is unchanged then.
    pub fn add(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let mut mine = lock(&self.bytes);
        self.connection.take(bytes)?;
        *mine += bytes;
        Ok(())
    }

    /// Sets the number of bytes.
    ///
    /// # Errors
    /// When the budget is exceeded; the charge is unchanged then.
    pub fn set(&self, bytes: usize) -> Result<(), BudgetExceeded> {
        let mut mine = lock(&self.bytes);
        match bytes.checked_sub(*mine) {
            Some(more) => self.connection.take(more)?,
            None => self.connection.give(*mine - bytes),
        }
        *mine = bytes;
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(id) = self.response {
            lock(&self.connection.0.responses).waiting.remove(&id);
        }
        self.connection.give(*lock(&self.bytes));
        let mut charges = lock(&self.connection.0.charges);
        charges.live -= 1;
        charges.none_since = Instant::now();
    }
}

/// The bytes beyond the connection's reserve.
const fn beyond(bytes: usize) -> usize {
    bytes.saturating_sub(RESERVE_BYTES)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Budget, BudgetExceeded, MIN_SHARE, RESERVE_BYTES};

    const MIB: usize = 1024 * 1024;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn one_address_uses_its_share_and_leaves_the_rest_to_others() {
        let budget = Budget::new(64 * MIB);
        let greedy = budget.connection(address(1));
        let all = greedy.charge();
        all.add(RESERVE_BYTES + MIN_SHARE).unwrap();
        assert_eq!(all.add(1), Err(BudgetExceeded));
        assert_eq!(
            budget.connection(address(1)).charge().add(MIB),
            Err(BudgetExceeded)
        );
        let other = budget.connection(address(2)).charge();
        other.add(12 * MIB).unwrap();
        drop(all);
        greedy.charge().add(MIN_SHARE).unwrap();
    }

    #[test]
    fn many_addresses_use_the_budget_together_and_no_more() {
        let budget = Budget::new(64 * MIB);
        let held: Vec<_> = (0..4)
            .map(|last| {
                let charge = budget.connection(address(last)).charge();
                charge.add(RESERVE_BYTES + MIN_SHARE).unwrap();
                charge
            })
            .collect();
        let late = budget.connection(address(9)).charge();
        assert_eq!(late.add(RESERVE_BYTES + 1), Err(BudgetExceeded));
        late.add(RESERVE_BYTES).unwrap();
        drop(held);
        late.add(MIB).unwrap();
    }

    #[test]
    fn charges_grow_and_shrink_and_are_released_completely() {
        let budget = Budget::new(MIN_SHARE);
        let connection = budget.connection(address(1));
        let charge = connection.charge();
        charge.set(RESERVE_BYTES + MIN_SHARE).unwrap();
        assert_eq!(
            charge.set(RESERVE_BYTES + MIN_SHARE + 1),
            Err(BudgetExceeded)
        );
        charge.set(10).unwrap();
        let more = connection.charge();
        more.add(MIN_SHARE).unwrap();
        drop((charge, more));
        connection.charge().add(RESERVE_BYTES + MIN_SHARE).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_not_read_is_stalled_and_one_that_is_written_is_not() {
        let limit = Duration::from_secs(60);
        let connection = Budget::new(MIN_SHARE).connection(address(1));
        let written = connection.response(10).unwrap();
        tokio::time::advance(Duration::from_secs(40)).await;
        let waiting = connection.response(10).unwrap();
        drop(written);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(!connection.is_stalled(limit));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(connection.is_stalled(limit));
        drop(waiting);
        assert!(!connection.is_stalled(limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_charge_on() {
        let connection = Budget::new(MIN_SHARE).connection(address(1));
        let second = Duration::from_secs(1);
        tokio::time::advance(second).await;
        assert_eq!(connection.idle(), Some(second));
        let (request, response) = (connection.charge(), connection.response(10).unwrap());
        tokio::time::advance(second).await;
        assert_eq!(connection.idle(), None);
        drop(request);
        assert_eq!(connection.idle(), None);
        drop(response);
        assert_eq!(connection.idle(), Some(Duration::ZERO));
        // A charge that exceeds the budget leaves nothing behind.
        assert!(connection.response(usize::MAX / 2).is_err());
        tokio::time::advance(second).await;
        assert_eq!(connection.idle(), Some(second));
    }
}
