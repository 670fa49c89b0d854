//! The actions of a page's user: navigates, clicks with real pointer events, types with real key events.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{PERSON, Page};

impl Page {
    /// Navigates to an address and waits until the page has loaded.
    ///
    /// # Errors
    /// When the page doesn't load.
    pub async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        let going = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = going["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        self.until_another(mark, url).await
    }

    /// Goes back in the history, or forward with a positive number.
    ///
    /// # Errors
    /// When there is no such entry.
    pub async fn travel(&mut self, steps: i64) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        let history = self.call("Page.getNavigationHistory", json!({})).await?;
        let at = history["currentIndex"].as_i64().unwrap_or_default() + steps;
        let entry = usize::try_from(at).map(|at| &history["entries"][at]["id"]);
        let entry = entry.context("there is no page before it")?;
        ensure!(entry.is_number(), "there is no page there");
        self.call("Page.navigateToHistoryEntry", json!({ "entryId": entry }))
            .await?;
        self.until_another(mark, "another page of the history")
            .await
    }

    /// Loads the page again.
    ///
    /// # Errors
    /// When the page doesn't load.
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        self.call("Page.reload", json!({})).await?;
        self.until_another(mark, "the page again").await
    }

    /// Presses the button, link or menu with this name. `near` is a text in the same row, card or section.
    ///
    /// # Errors
    /// When there isn't exactly one.
    pub async fn press(&self, name: &str, near: Option<&str>) -> anyhow::Result<()> {
        self.point_at("button", name, near).await
    }

    /// Presses a link or button that leads to another page, and waits for that page.
    ///
    /// # Errors
    /// When there isn't exactly one, or no other page loads.
    pub async fn follow(&mut self, name: &str, near: Option<&str>) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        self.press(name, near).await?;
        self.until_another(mark, &format!("what {name:?} leads to"))
            .await
    }

    /// Double-clicks a link or button that leads to another page, and waits for that page.
    ///
    /// # Errors
    /// When there isn't exactly one, or no other page loads.
    pub async fn follow_twice(&mut self, name: &str) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        let (x, y) = self.place("button", name, None).await?;
        let mut wire = self.wire.lock().await;
        for count in [1, 2] {
            for kind in ["mousePressed", "mouseReleased"] {
                let event = pointer(kind, x, y, count);
                let call = wire.call(Some(&self.session), "Input.dispatchMouseEvent", event);
                call.await?;
            }
        }
        drop(wire);
        self.until_another(mark, &format!("what {name:?} leads to"))
            .await
    }

    /// Replaces the content of the field with this label.
    ///
    /// # Errors
    /// When there is no such field.
    pub async fn fill(&self, label: &str, text: &str, near: Option<&str>) -> anyhow::Result<()> {
        let what = format!("the field {label:?}");
        let entered: bool = self
            .until(&what, async || {
                self.ask("enter", &[json!(label), json!(near)]).await
            })
            .await?;
        ensure!(entered, "the field {label:?} cannot be typed into");
        if text.is_empty() {
            return self.key("Delete", 46).await;
        }
        self.call("Input.insertText", json!({ "text": text }))
            .await?;
        Ok(())
    }

    /// Chooses the option that begins with this text.
    ///
    /// # Errors
    /// When there is no such field or option.
    pub async fn choose(
        &self,
        label: &str,
        option: &str,
        near: Option<&str>,
    ) -> anyhow::Result<()> {
        let arguments = [json!(label), json!(option), json!(near)];
        let what = format!("{option:?} of {label:?}");
        self.until(&what, async || {
            let chosen: Option<bool> = self.ask("choose", &arguments).await?;
            Ok(chosen.map(|_| ()))
        })
        .await
    }

    /// Toggles a checkbox, or selects a radio button, by its label.
    ///
    /// # Errors
    /// When there is no such input.
    pub async fn tick(&self, label: &str, near: Option<&str>) -> anyhow::Result<()> {
        self.point_at("field", label, near).await
    }

    /// Presses a key that types no character, by its name and its code.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn key(&self, key: &str, code: u32) -> anyhow::Result<()> {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if key == "Enter" {
                event["text"] = "\r".into();
            }
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Chooses a file of this machine for the field with this label.
    ///
    /// # Errors
    /// When there is no such field, or it takes no files.
    pub async fn attach(&self, label: &str, file: &Path) -> anyhow::Result<()> {
        let asked = json!({ "expression": format!("{PERSON}.field({})", json!(label)) });
        let found = self
            .until(&format!("the field {label:?}"), async || {
                let answer = self.call("Runtime.evaluate", asked.clone()).await?;
                let id = answer["result"]["objectId"].as_str();
                Ok(id.map(str::to_owned))
            })
            .await?;
        let chosen = json!({ "objectId": found, "files": [file] });
        self.call("DOM.setFileInputFiles", chosen).await?;
        Ok(())
    }

    async fn point_at(&self, kind: &str, name: &str, near: Option<&str>) -> anyhow::Result<()> {
        let (x, y) = self.place(kind, name, near).await?;
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event = pointer(kind, x, y, u8::from(kind != "mouseMoved"));
            self.call("Input.dispatchMouseEvent", event).await?;
        }
        Ok(())
    }

    async fn place(
        &self,
        kind: &str,
        name: &str,
        near: Option<&str>,
    ) -> anyhow::Result<(f64, f64)> {
        let arguments = [json!(kind), json!(name), json!(near)];
        let near = near.map_or_else(String::new, |near| format!(" near {near:?}"));
        let what = format!("the {kind} {name:?}{near}");
        let point: Value = self
            .until(&what, async || self.ask("point", &arguments).await)
            .await?;
        let number = |name: &str| point[name].as_f64().context("a place has two numbers");
        Ok((number("x")?, number("y")?))
    }

    async fn mark(&mut self) -> anyhow::Result<u32> {
        self.marks += 1;
        self.ask::<Value>("mark", &[json!(self.marks)]).await?;
        Ok(self.marks)
    }

    async fn until_another(&self, mark: u32, what: &str) -> anyhow::Result<()> {
        self.until(what, async || {
            let another: bool = self.ask("isAnother", &[json!(mark)]).await?;
            Ok(another.then_some(()))
        })
        .await
    }
}

fn pointer(kind: &str, x: f64, y: f64, count: u8) -> Value {
    json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": count })
}
