//! The steps of a compose test, and how long each took. Called by `compose_test`.

use std::time::Instant;

/// The finished steps.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    seconds: f32,
    /// Details of the result.
    seen: String,
}

// === impl Report ===

impl Report {
    /// Runs a step and records its duration.
    pub(super) fn step<T>(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let began = begin(name);
        let done = work().map_err(|error| error.context(format!("step `{name}`")))?;
        self.note(name, began, String::new());
        Ok(done)
    }

    /// Runs a step that returns details, and records its duration.
    pub(super) async fn check(
        &mut self,
        name: &str,
        work: impl Future<Output = anyhow::Result<String>>,
    ) -> anyhow::Result<()> {
        let began = begin(name);
        let seen = work
            .await
            .map_err(|error| error.context(format!("step `{name}`")))?;
        self.note(name, began, seen);
        Ok(())
    }

    fn note(&mut self, name: &str, began: Instant, seen: String) {
        let seconds = began.elapsed().as_secs_f32();
        eprintln!("    {name}: {seconds:.1} s {seen}");
        self.rows.push(Row {
            name: name.to_owned(),
            seconds,
            seen,
        });
    }

    /// Prints all steps as a Markdown table.
    pub(super) fn print(&self) {
        println!("| step | seconds | seen |");
        println!("|---|---|---|");
        for Row {
            name,
            seconds,
            seen,
        } in &self.rows
        {
            println!("| {name} | {seconds:.1} | {seen} |");
        }
    }
}

fn begin(name: &str) -> Instant {
    eprintln!("==> {name}");
    Instant::now()
}
