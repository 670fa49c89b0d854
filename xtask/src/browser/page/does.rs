//! What the user of a page does: goes somewhere, presses with a real pointer, types with a real keyboard.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::{PERSON, Page};

impl Page {
    /// Goes to an address and waits until the page is there.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        let going = self.call("Page.navigate", json!({ "url": url })).await?;
        if let Some(error) = going["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        self.until_another(mark, url).await
    }

    /// Goes back to the page before, or forward again with a positive number.
    ///
    /// # Errors
    /// When there is none.
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
    /// When it does not come.
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        self.call("Page.reload", json!({})).await?;
        self.until_another(mark, "the page again").await
    }

    /// Presses what bears this name: a button, a link, a menu. `near` are words of the row, card or section that it is in.
    ///
    /// # Errors
    /// When it is not there, or there twice.
    pub async fn press(&self, name: &str, near: Option<&str>) -> anyhow::Result<()> {
        self.point_at("button", name, near).await
    }

    /// Presses what leads to another page, and waits for that.
    ///
    /// # Errors
    /// When it is not there, or leads nowhere.
    pub async fn follow(&mut self, name: &str, near: Option<&str>) -> anyhow::Result<()> {
        let mark = self.mark().await?;
        self.press(name, near).await?;
        self.until_another(mark, &format!("what {name:?} leads to"))
            .await
    }

    /// Presses twice, as some do, what leads to another page, and waits for that.
    ///
    /// # Errors
    /// When it is not there, or leads nowhere.
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

    /// Types into the field with this label, in place of what is in it.
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

    /// Chooses the option that begins with these words.
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

    /// Ticks a box, or chooses one of several, by what stands beside it; takes the tick away if it is there.
    ///
    /// # Errors
    /// When there is no such box.
    pub async fn tick(&self, label: &str, near: Option<&str>) -> anyhow::Result<()> {
        self.point_at("field", label, near).await
    }

    /// Presses a key that writes nothing, by its name and its code.
    ///
    /// # Errors
    /// When the browser is gone.
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
