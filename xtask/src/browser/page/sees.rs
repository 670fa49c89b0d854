//! What the user of a page sees: what it says, what may be pressed, what is in its fields and wrong with them.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Page;

impl Page {
    /// Its address.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn url(&self) -> anyhow::Result<String> {
        self.ask("url", &[]).await
    }

    /// All that it says, with single spaces.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn text(&self) -> anyhow::Result<String> {
        self.ask("text", &[]).await
    }

    /// The first heading.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn heading(&self) -> anyhow::Result<String> {
        self.ask("heading", &[]).await
    }

    /// Waits until it says these words.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn until_said(&self, words: &str) -> anyhow::Result<()> {
        self.until(&format!("the page says {words:?}"), async || {
            let said: bool = self.ask("has", &[json!(words)]).await?;
            Ok(said.then_some(()))
        })
        .await
    }

    /// Waits until an expression in the page is true.
    ///
    /// # Errors
    /// When it is not in time.
    pub async fn until_true(&self, expression: &str) -> anyhow::Result<()> {
        self.until(expression, async || {
            let holds: bool = self.evaluate(expression).await?;
            Ok(holds.then_some(()))
        })
        .await
    }

    /// Whether it says these words now.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn says(&self, words: &str) -> anyhow::Result<bool> {
        self.ask("has", &[json!(words)]).await
    }

    /// How many links, buttons and menus bear this name now.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn count(&self, name: &str, near: Option<&str>) -> anyhow::Result<usize> {
        self.ask("count", &[json!("button"), json!(name), json!(near)])
            .await
    }

    /// The names of all links, buttons and menus that it shows.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn offers(&self) -> anyhow::Result<Vec<String>> {
        self.ask("pressables", &[]).await
    }

    /// Whether a button can be pressed; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there twice.
    pub async fn is_enabled(&self, name: &str, near: Option<&str>) -> anyhow::Result<Option<bool>> {
        self.ask("isEnabled", &[json!(name), json!(near)]).await
    }

    /// What is in the field with this label; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there twice.
    pub async fn value(&self, label: &str, near: Option<&str>) -> anyhow::Result<Option<String>> {
        self.ask("value", &[json!(label), json!(near)]).await
    }

    /// Whether a box is ticked; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there twice.
    pub async fn is_ticked(&self, label: &str, near: Option<&str>) -> anyhow::Result<Option<bool>> {
        self.ask("isTicked", &[json!(label), json!(near)]).await
    }

    /// What is said to be wrong with a field, or with a group of boxes; empty when nothing is.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn fault(&self, label: &str) -> anyhow::Result<String> {
        let fault: Option<String> = self.ask("fault", &[json!(label), Value::Null]).await?;
        fault.with_context(|| format!("there is no field {label:?}"))
    }

    /// How many pixels wider than its window it is.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn overflow(&self) -> anyhow::Result<i64> {
        self.ask("overflow", &[]).await
    }
}
