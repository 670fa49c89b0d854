//! The table that a benchmark prints: a row for each shape, a column for each proxy, and the ratio to the best peer.

use super::target::Kind;

/// A table of medians.
#[derive(Debug)]
pub(super) struct Table {
    title: String,
    columns: Vec<Kind>,
    /// Whether lower values are better.
    less: bool,
    /// The peer to compare with; the best one if not set.
    beside: Option<Kind>,
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    pub(super) fn new(title: &str, columns: &[Kind], less: bool) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns.to_vec(),
            less,
            beside: None,
            rows: Vec::new(),
        }
    }

    /// Compares with one peer.
    pub(super) fn beside(mut self, peer: Kind) -> Self {
        self.beside = Some(peer);
        self
    }

    pub(super) fn row(&mut self, name: &str, values: Vec<f64>) {
        self.rows.push((name.to_owned(), values));
    }

    /// Prints the table as Markdown.
    pub(super) fn print(&self) {
        let peer = self.beside.map_or("the best peer", Kind::name);
        println!("\n| {} |{} ratio to {peer} |", self.title, self.heads());
        println!("|---|{}", "---:|".repeat(self.columns.len() + 1));
        for (name, values) in &self.rows {
            let cells: String = values
                .iter()
                .map(|value| format!(" {} |", short(*value)))
                .collect();
            println!("| {name} |{cells} {} |", self.ratio(values));
        }
    }

    fn heads(&self) -> String {
        self.columns
            .iter()
            .map(|kind| format!(" {} |", kind.name()))
            .collect()
    }

    fn counts(&self, kind: Kind) -> bool {
        !kind.is_peer() || self.beside.is_none_or(|peer| peer == kind)
    }

    /// The ratio of the first column that isn't a peer.
    fn ratio(&self, values: &[f64]) -> String {
        let of = |peer: bool| {
            let pairs = self.columns.iter().zip(values);
            pairs
                .filter(move |(kind, _)| kind.is_peer() == peer && self.counts(**kind))
                .map(|(_, value)| *value)
        };
        let pick = if self.less { f64::min } else { f64::max };
        match (of(false).next(), of(true).reduce(pick)) {
            (Some(ours), Some(best)) => format!("**{:.2}**", ours / best),
            _ => "-".to_owned(),
        }
    }
}

/// The median.
pub(super) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn short(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
