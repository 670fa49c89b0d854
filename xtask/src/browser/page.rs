//! A page as its user meets it: things are named by what stands on them, waited for until they are there, and pressed
//! with a real pointer and keyboard.

use std::{path::Path, sync::Arc};

use anyhow::{Context as _, bail, ensure};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Instant, interval},
};

use super::{
    DEADLINE, LOOK,
    wire::{Load, Wire},
};

/// What a person sees, as functions in the page.
const PERSON: &str = include_str!("person.js");

/// How many letters of a page are shown when something is waited for in vain.
const SHOWN: usize = 1500;

/// One page, of one person.
#[derive(Debug)]
pub struct Page {
    wire: Arc<Mutex<Wire>>,
    session: String,
    marks: u32,
}

/// What the system prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark letters on light ground.
    Light,
    /// Light letters on dark ground.
    Dark,
}

/// How a picture is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// From 1 to 100.
    pub quality: u8,
    /// The pixels from the top at which a long page is cut off.
    pub height_max: u32,
}

// === impl Theme ===

impl Theme {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Light, Self::Dark];

    /// `light` or `dark`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

// === impl Page: what it is and loads ===

impl Page {
    pub(super) async fn open(wire: Arc<Mutex<Wire>>, context: &str) -> anyhow::Result<Self> {
        let session = {
            let mut wire = wire.lock().await;
            let target = json!({ "url": "about:blank", "browserContextId": context });
            let target = wire.call(None, "Target.createTarget", target).await?;
            let attach = json!({ "targetId": target["targetId"], "flatten": true });
            let attached = wire.call(None, "Target.attachToTarget", attach).await?;
            let session = attached["sessionId"].as_str();
            session.context("the page has no session")?.to_owned()
        };
        let page = Self {
            wire,
            session,
            marks: 0,
        };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        page.size(1280, 800).await?;
        Ok(page)
    }

    /// Sets the size of the window, in pixels.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn size(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    /// Sets what the system prefers.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn theme(&self, theme: Theme) -> anyhow::Result<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.as_str() });
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await?;
        Ok(())
    }

    /// Sets whether what was loaded once is loaded again.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn cache(&self, used: bool) -> anyhow::Result<()> {
        let disabled = json!({ "cacheDisabled": !used });
        self.call("Network.setCacheDisabled", disabled).await?;
        Ok(())
    }

    /// Turns scripts off, or on.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn scripts(&self, run: bool) -> anyhow::Result<()> {
        let disabled = json!({ "value": !run });
        self.call("Emulation.setScriptExecutionDisabled", disabled)
            .await?;
        Ok(())
    }

    /// What was loaded and complained of since this was last asked.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn load(&self) -> anyhow::Result<Load> {
        // What it has told by now comes before the answer.
        self.evaluate::<Value>("null").await?;
        Ok(self.wire.lock().await.load(&self.session))
    }

    /// Forgets its cookies: the session is lost, as when a window is closed.
    ///
    /// # Errors
    /// When the browser is gone.
    pub async fn forget(&self) -> anyhow::Result<()> {
        self.call("Network.clearBrowserCookies", json!({})).await?;
        Ok(())
    }

    /// The value of a cookie, also of one that scripts cannot read.
    ///
    /// # Errors
    /// When there is none.
    pub async fn cookie(&self, name: &str) -> anyhow::Result<String> {
        let held = self.call("Network.getCookies", json!({})).await?;
        let mut cookies = held["cookies"].as_array().into_iter().flatten();
        let cookie = cookies.find(|cookie| cookie["name"] == name);
        let value = cookie.and_then(|cookie| cookie["value"].as_str());
        Ok(value
            .with_context(|| format!("there is no cookie {name}"))?
            .to_owned())
    }

    /// A picture of the whole page as it is, in the format WebP.
    ///
    /// # Errors
    /// When the browser cannot take it.
    pub async fn picture(&self, picture: Picture) -> anyhow::Result<Vec<u8>> {
        // What stays in view would stand in the middle of it.
        self.evaluate::<Value>("scrollTo(0, 0)").await?;
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await?;
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or_default();
        let clip = json!({
            "x": 0, "y": 0, "scale": 1, "width": size["width"],
            "height": height.min(picture.height_max.into()),
        });
        let wanted = json!({
            "format": "webp", "quality": picture.quality, "clip": clip, "captureBeyondViewport": true,
        });
        let taken = self.call("Page.captureScreenshot", wanted).await?;
        decode(taken["data"].as_str().context("the picture is empty")?)
    }

    /// What an expression in the page gives, in spite of the page's policy. Promises are waited for.
    ///
    /// # Errors
    /// When it throws, or gives something else.
    pub async fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> anyhow::Result<T> {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let mut answer = self.call("Runtime.evaluate", asked).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let what = thrown["exception"]["description"].as_str();
            bail!("{}", what.unwrap_or("it threw something strange"));
        }
        Ok(serde_json::from_value(answer["result"]["value"].take())?)
    }

    async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let mut wire = self.wire.lock().await;
        wire.call(Some(&self.session), method, params).await
    }

    /// Asks a function of `person.js`.
    async fn ask<T: DeserializeOwned>(&self, function: &str, args: &[Value]) -> anyhow::Result<T> {
        let args: Vec<_> = args.iter().map(Value::to_string).collect();
        self.evaluate(&format!("{PERSON}.{function}({})", args.join(", ")))
            .await
    }

    /// Waits until a question is answered with something, and says what the page shows when it is not in time.
    async fn until<T>(
        &self,
        what: &str,
        question: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            // While a page gives way to another, nothing can be asked.
            let answer = question().await;
            if let Ok(Some(answer)) = answer {
                return Ok(answer);
            }
            if began.elapsed() > DEADLINE {
                let url = self.url().await.unwrap_or_default();
                let text: String = self.text().await.unwrap_or_default();
                let shown: String = text.chars().take(SHOWN).collect();
                let why = answer
                    .err()
                    .map_or_else(String::new, |why| format!(" ({why})"));
                bail!("waited in vain: {what}{why}\nthe page {url} says:\n{shown}");
            }
        }
    }
}

// === impl Page: what its user does ===

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

// === impl Page: what its user sees ===

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

fn pointer(kind: &str, x: f64, y: f64, count: u8) -> Value {
    json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": count })
}

/// RFC 4648, 4.
fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("this is not Base64"),
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).expect("eight bits"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn decodes_the_vectors_of_rfc_4648() {
        for (coded, plain) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(super::decode(coded).unwrap(), plain.as_bytes());
        }
    }
}
