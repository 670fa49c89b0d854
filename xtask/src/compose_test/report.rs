//! The steps of a compose test, and how long each took. Called by `compose_test`.

use std::time::Instant;

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    seconds: f32,
    /// What was seen, beyond that it held.
    seen: String,
}

// === impl Report ===

impl Report {
    /// Does a step and notes its time.
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

    /// Does a step that says what it saw, and notes its time.
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

    /// Prints all steps as a table, which docs/DEPLOYMENT.md can take as it is.
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
