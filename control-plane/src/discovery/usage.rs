//! What every process of every node said last of what its sessions have used of their plans, and the sums of that.
//!
//! A value without clock and I/O. Owns what counts: a process's figures until their windows are over, whether it is there
//! or not, since what they say was really used; its open sessions while its stream is open. A node that starts again is
//! another process, whose figures stand beside those of the one before; what a process says replaces what it said before.
//! Written and read through `fleet`.

use std::collections::HashMap;

use tidegate_proto::{
    discovery::v1::{self, SubscriptionUsage},
    ids::SubscriptionKey,
    quota::Window,
};

use crate::domain::{
    name::EnvironmentName,
    time::Timestamp,
    usage::{Consumption, Figure, Unit},
};

/// A node: its environment and its name in it.
pub(super) type NodeKey = (EnvironmentName, String);

/// All that was said and still counts.
#[derive(Debug, Default)]
pub(super) struct Book {
    sources: HashMap<SourceId, Source>,
    /// The process that each node is by now.
    current: HashMap<NodeKey, SourceId>,
    told: HashMap<SubscriptionKey, HashMap<SourceId, Told>>,
    last_source: SourceId,
    swept: Timestamp,
}

type SourceId = u64;

/// A process of a node.
#[derive(Debug)]
struct Source {
    node: NodeKey,
    /// As the process names itself.
    process: u64,
    /// The last stream that it opened.
    stream: u64,
    connected: bool,
    /// When it last told of its use.
    word: Option<Timestamp>,
    /// How far the clock of its ledger is ahead of this process's, in milliseconds.
    ahead: i64,
}

/// What a process said last of a subscription.
#[derive(Debug)]
struct Told {
    generation: u64,
    figures: Vec<Figure>,
    open_sessions: u32,
    /// On which stream. A new one begins with everything, so that sessions of which it says nothing have gone.
    stream: u64,
}

/// More subscriptions are not kept.
const SUBSCRIPTIONS_MAX: usize = 1 << 20;
/// Nor more processes for a subscription, those that have gone included.
const SOURCES_MAX: usize = 4096;
/// A plan has no more counters than four, and a subscription has few plans in one window.
const FIGURES_MAX: usize = 32;
/// How often what is over is looked for, in milliseconds.
const SWEEP_EVERY: u64 = 60_000;

// === impl Book ===

impl Book {
    /// A node has opened a stream. When it is another process by now, the one before has ended.
    pub(super) fn open(&mut self, node: &NodeKey, process: u64, stream: u64) {
        let known = self.sources.iter();
        let known = known.filter(|(_, it)| it.process == process && it.node == *node);
        let id = known.map(|(id, _)| *id).next().unwrap_or_else(|| {
            self.last_source += 1;
            self.last_source
        });
        let source = self.sources.entry(id).or_insert_with(|| Source {
            node: node.clone(),
            process,
            stream,
            connected: true,
            word: None,
            ahead: 0,
        });
        source.stream = stream;
        source.connected = true;
        if let Some(before) = self.current.insert(node.clone(), id)
            && before != id
            && let Some(before) = self.sources.get_mut(&before)
        {
            before.connected = false;
        }
    }

    /// A stream of a node has ended; one that it opened since then goes on.
    pub(super) fn close(&mut self, node: &NodeKey, stream: u64) {
        if let Some(source) = self.speaker(node, stream) {
            source.connected = false;
        }
    }

    /// A node tells what was used. What an earlier stream says comes too late. Returns how many subscriptions could not
    /// be kept.
    pub(super) fn tell(
        &mut self,
        node: &NodeKey,
        stream: u64,
        word: v1::Usage,
        now: Timestamp,
    ) -> usize {
        let ledger_time = word.ledger_time_millis;
        let Some(source) = self.speaker(node, stream) else {
            return 0;
        };
        source.word = Some(now);
        source.ahead = ledger_time
            .cast_signed()
            .wrapping_sub(now.millis().cast_signed());
        let Some(&id) = self.current.get(node) else {
            return 0;
        };
        if now.since(self.swept).as_millis() >= u128::from(SWEEP_EVERY) {
            self.sweep(now);
        }
        let words = word.subscriptions.into_iter();
        let kept = words.map(|word| self.keep(id, stream, word, ledger_time));
        kept.filter(|kept| !kept).count()
    }

    /// What is known of the subscriptions between two in an environment, of the counters of this generation: those that were begun anew
    /// since are others, and those from before count no more.
    pub(super) fn consumption(
        &self,
        environment: &EnvironmentName,
        (subscription, generation): (SubscriptionKey, u64),
        now: Timestamp,
    ) -> Consumption {
        let here = || {
            let sources = self.sources.iter();
            sources.filter(|(_, source)| source.node.0 == *environment)
        };
        let connected = || here().filter(|(_, source)| source.connected);
        let latest = here().max_by_key(|(_, source)| (source.connected, source.word));
        let mut seen = Consumption {
            oldest_word: connected().map(|(_, it)| it.word).min().flatten(),
            ledger_time: latest.map_or(now, |(_, source)| source.ledger_time(now)),
            ..Consumption::default()
        };
        let Some(told) = self.told.get(&subscription) else {
            return seen;
        };
        let told = || here().filter_map(|(id, source)| Some((id, source, told.get(id)?)));
        for (_, _, told) in told().filter(|(_, source, told)| told.is_now(source)) {
            seen.open_sessions += u64::from(told.open_sessions);
        }
        for (id, source, told) in told().filter(|it| it.2.generation == generation) {
            let figures = told.figures.iter();
            let mut counts = false;
            for figure in figures.filter(|it| !is_over(it, source, now)) {
                counts = true;
                add(&mut seen.figures, figure);
            }
            let is_absent = !source.connected && self.current.get(&source.node) == Some(id);
            seen.absent_nodes += usize::from(counts && is_absent);
        }
        seen
    }

    /// The process that a stream speaks for, unless the node has opened another since.
    fn speaker(&mut self, node: &NodeKey, stream: u64) -> Option<&mut Source> {
        let source = self.sources.get_mut(self.current.get(node)?)?;
        (source.stream == stream).then_some(source)
    }

    /// Keeps what is said of one subscription; whether there was room.
    fn keep(
        &mut self,
        source: SourceId,
        stream: u64,
        word: SubscriptionUsage,
        ledger_time: u64,
    ) -> bool {
        // A node of an older version names the subscription, by which nothing is counted any more.
        if word.application.is_empty() && word.api.is_empty() {
            return true;
        }
        let Some(subscription) = key(&word) else {
            return false;
        };
        let has_room = self.told.len() < SUBSCRIPTIONS_MAX;
        if !has_room && !self.told.contains_key(&subscription) {
            return false;
        }
        let told = self.told.entry(subscription).or_default();
        if told.len() >= SOURCES_MAX && !told.contains_key(&source) {
            return false;
        }
        let figures = word.counters.iter().take(FIGURES_MAX);
        let figures = figures.filter_map(|counter| read(counter, ledger_time));
        let said = Told {
            generation: word.quota_generation,
            figures: figures.collect(),
            open_sessions: word.open_sessions,
            stream,
        };
        told.insert(source, said);
        true
    }

    /// Forgets what is over.
    fn sweep(&mut self, now: Timestamp) {
        self.swept = now;
        let mut used = std::collections::HashSet::new();
        let sources = &self.sources;
        self.told.retain(|_, told| {
            told.retain(|id, told| {
                let Some(source) = sources.get(id) else {
                    return false;
                };
                told.figures.retain(|figure| !is_over(figure, source, now));
                let counts = told.is_now(source) && told.open_sessions > 0;
                counts || !told.figures.is_empty()
            });
            used.extend(told.keys().copied());
            !told.is_empty()
        });
        self.sources
            .retain(|id, source| source.connected || used.contains(id));
        let sources = &self.sources;
        self.current.retain(|_, id| sources.contains_key(id));
    }
}

// === impl Source ===

impl Source {
    /// What the clock of its ledger shows.
    fn ledger_time(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.millis().saturating_add_signed(self.ahead))
    }
}

// === impl Told ===

impl Told {
    /// Whether the sessions are those that are open by now.
    fn is_now(&self, source: &Source) -> bool {
        source.connected && source.stream == self.stream
    }
}

fn is_over(figure: &Figure, source: &Source, now: Timestamp) -> bool {
    figure.began.after(figure.window.duration()) <= source.ledger_time(now)
}

/// Adds a figure to those of the same window. Where some nodes are in the next window already, that is the one.
fn add(figures: &mut Vec<Figure>, figure: &Figure) {
    let mut known = figures.iter_mut();
    match known.find(|it| it.unit == figure.unit && it.window == figure.window) {
        None => figures.push(*figure),
        Some(sum) if sum.began < figure.began => *sum = *figure,
        Some(sum) if sum.began == figure.began => sum.used = sum.used.saturating_add(figure.used),
        Some(_) => {}
    }
}

fn key(word: &SubscriptionUsage) -> Option<SubscriptionKey> {
    Some(SubscriptionKey {
        application: word.application.parse().ok()?,
        api: word.api.parse().ok()?,
    })
}

/// Reads what is said of a counter; nothing when it cannot be, or is of a window that is still to come.
fn read(counter: &v1::CounterUsage, ledger_time: u64) -> Option<Figure> {
    let unit = match counter.unit() {
        v1::Unit::Unspecified => return None,
        v1::Unit::Messages => Unit::Messages,
        v1::Unit::Bytes => Unit::Bytes,
        v1::Unit::Burst => Unit::Burst,
        v1::Unit::Connections => Unit::Connections,
    };
    let window = Window::try_new(counter.window_seconds.into()).ok()?;
    let began = Timestamp::from_millis(counter.window_start.checked_mul(1000)?);
    // A node may have turned a moment before its ledger.
    let is_to_come = began > Timestamp::from_millis(ledger_time).after(window.duration());
    (!is_to_come).then_some(Figure {
        unit,
        window,
        began,
        used: counter.used,
    })
}

#[cfg(test)]
mod tests;
