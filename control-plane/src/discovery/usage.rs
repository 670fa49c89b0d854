//! The last report of every process of every node about what its sessions have used of their plans, and the sums.
//!
//! A value without clock and I/O. It owns what counts: a process's figures until their windows are over, connected or not,
//! since what they report was really used; its open sessions while its stream is open. A node that restarts is another
//! process, whose figures stand beside those of the one before; a process's report replaces its earlier ones. Written and
//! read through `fleet`.

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

/// All reports that still count.
#[derive(Debug, Default)]
pub(super) struct UsageLedger {
    sources: HashMap<SourceId, Source>,
    /// The process that each node is by now.
    current: HashMap<NodeKey, SourceId>,
    reports: HashMap<SubscriptionKey, HashMap<SourceId, UsageReport>>,
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
    /// When it last reported.
    last_report: Option<Timestamp>,
    /// How far the clock of its ledger is ahead of this process's, in milliseconds.
    ahead: i64,
}

/// The last report of a process about a subscription.
#[derive(Debug)]
struct UsageReport {
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

// === impl UsageLedger ===

impl UsageLedger {
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
            last_report: None,
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
        if let Some(source) = self.source_of(node, stream) {
            source.connected = false;
        }
    }

    /// Records what a node reports; an earlier stream of the node is ignored. Returns how many subscriptions there was no
    /// room for.
    pub(super) fn record(
        &mut self,
        node: &NodeKey,
        stream: u64,
        report: v1::Usage,
        now: Timestamp,
    ) -> usize {
        let ledger_time = report.ledger_time_millis;
        let Some(source) = self.source_of(node, stream) else {
            return 0;
        };
        source.last_report = Some(now);
        source.ahead = ledger_time
            .cast_signed()
            .wrapping_sub(now.millis().cast_signed());
        let Some(&id) = self.current.get(node) else {
            return 0;
        };
        if now.since(self.swept).as_millis() >= u128::from(SWEEP_EVERY) {
            self.sweep(now);
        }
        let reports = report.subscriptions.into_iter();
        let kept = reports.map(|report| self.keep(id, stream, report, ledger_time));
        kept.filter(|kept| !kept).count()
    }

    /// What the nodes of an environment report for an application on an API and the counters of this generation; those of
    /// other generations are not counted.
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
        let latest = here().max_by_key(|(_, source)| (source.connected, source.last_report));
        let mut seen = Consumption {
            oldest_report: connected().map(|(_, it)| it.last_report).min().flatten(),
            ledger_time: latest.map_or(now, |(_, source)| source.ledger_time(now)),
            ..Consumption::default()
        };
        let Some(by_source) = self.reports.get(&subscription) else {
            return seen;
        };
        let reports = || here().filter_map(|(id, source)| Some((id, source, by_source.get(id)?)));
        for (_, _, report) in reports().filter(|(_, source, report)| report.is_now(source)) {
            seen.open_sessions += u64::from(report.open_sessions);
        }
        for (id, source, report) in reports().filter(|it| it.2.generation == generation) {
            let figures = report.figures.iter();
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
    fn source_of(&mut self, node: &NodeKey, stream: u64) -> Option<&mut Source> {
        let source = self.sources.get_mut(self.current.get(node)?)?;
        (source.stream == stream).then_some(source)
    }

    /// Keeps the report about one subscription; false when there is no room.
    fn keep(
        &mut self,
        source: SourceId,
        stream: u64,
        report: SubscriptionUsage,
        ledger_time: u64,
    ) -> bool {
        // A node of an older version names the subscription, by which nothing is counted any more.
        if report.application.is_empty() && report.api.is_empty() {
            return true;
        }
        let Some(subscription) = key(&report) else {
            return false;
        };
        let has_room = self.reports.len() < SUBSCRIPTIONS_MAX;
        if !has_room && !self.reports.contains_key(&subscription) {
            return false;
        }
        let by_source = self.reports.entry(subscription).or_default();
        if by_source.len() >= SOURCES_MAX && !by_source.contains_key(&source) {
            return false;
        }
        let figures = report.counters.iter().take(FIGURES_MAX);
        let figures = figures.filter_map(|counter| read(counter, ledger_time));
        let usage = UsageReport {
            generation: report.quota_generation,
            figures: figures.collect(),
            open_sessions: report.open_sessions,
            stream,
        };
        by_source.insert(source, usage);
        true
    }

    /// Forgets what is over.
    fn sweep(&mut self, now: Timestamp) {
        self.swept = now;
        let mut used = std::collections::HashSet::new();
        let sources = &self.sources;
        self.reports.retain(|_, by_source| {
            by_source.retain(|id, report| {
                let Some(source) = sources.get(id) else {
                    return false;
                };
                report
                    .figures
                    .retain(|figure| !is_over(figure, source, now));
                let counts = report.is_now(source) && report.open_sessions > 0;
                counts || !report.figures.is_empty()
            });
            used.extend(by_source.keys().copied());
            !by_source.is_empty()
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

// === impl UsageReport ===

impl UsageReport {
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

fn key(report: &SubscriptionUsage) -> Option<SubscriptionKey> {
    Some(SubscriptionKey {
        application: report.application.parse().ok()?,
        api: report.api.parse().ok()?,
    })
}

/// Reads a counter; nothing when it is invalid, or of a window that is still to come.
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
