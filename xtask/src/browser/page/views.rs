//! What the user of a page sees: its text, what can be pressed, the values of its fields and the errors about them.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Page;

impl Page {
    /// Its address.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn url(&self) -> anyhow::Result<String> {
        self.ask("url", &[]).await
    }

    /// Its text, with single spaces.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn text(&self) -> anyhow::Result<String> {
        self.ask("text", &[]).await
    }

    /// The first heading.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn heading(&self) -> anyhow::Result<String> {
        self.ask("heading", &[]).await
    }

    /// Waits until the page contains a text.
    ///
    /// # Errors
    /// When it doesn't in time.
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
    /// When it isn't in time.
    pub async fn until_true(&self, expression: &str) -> anyhow::Result<()> {
        self.until(expression, async || {
            let holds: bool = self.evaluate(expression).await?;
            Ok(holds.then_some(()))
        })
        .await
    }

    /// Whether the page contains a text now.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn says(&self, words: &str) -> anyhow::Result<bool> {
        self.ask("has", &[json!(words)]).await
    }

    /// How many links, buttons and menus have this name now.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn count(&self, name: &str, near: Option<&str>) -> anyhow::Result<usize> {
        self.ask("count", &[json!("button"), json!(name), json!(near)])
            .await
    }

    /// The names of all visible links, buttons and menus.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn offers(&self) -> anyhow::Result<Vec<String>> {
        self.ask("pressables", &[]).await
    }

    /// Whether a button can be pressed; `None` if there is none.
    ///
    /// # Errors
    /// When there are two.
    pub async fn is_enabled(&self, name: &str, near: Option<&str>) -> anyhow::Result<Option<bool>> {
        self.ask("isEnabled", &[json!(name), json!(near)]).await
    }

    /// The value of the field with this label; `None` if there is none.
    ///
    /// # Errors
    /// When there are two.
    pub async fn value(&self, label: &str, near: Option<&str>) -> anyhow::Result<Option<String>> {
        self.ask("value", &[json!(label), json!(near)]).await
    }

    /// Whether a checkbox is checked; `None` if there is none.
    ///
    /// # Errors
    /// When there are two.
    pub async fn is_ticked(&self, label: &str, near: Option<&str>) -> anyhow::Result<Option<bool>> {
        self.ask("isTicked", &[json!(label), json!(near)]).await
    }

    /// The error message of a field or of a group of checkboxes; empty if there is none.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn fault(&self, label: &str) -> anyhow::Result<String> {
        let fault: Option<String> = self.ask("fault", &[json!(label), Value::Null]).await?;
        fault.with_context(|| format!("there is no field {label:?}"))
    }

    /// By how many pixels the page is wider than its window.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn overflow(&self) -> anyhow::Result<i64> {
        self.ask("overflow", &[]).await
    }
}
