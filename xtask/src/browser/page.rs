//! A page as its user sees it: how it's opened, captured and evaluated. The user's actions and views are in the folder;
//! elements are found by their visible names, and waited for.

mod actions;
mod views;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
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

/// Functions in the page that find what a person sees.
const PERSON: &str = include_str!("person.js");

/// How many characters of a page are in the error about a timeout.
const SHOWN: usize = 1500;

/// One page, of one person.
#[derive(Debug)]
pub struct Page {
    wire: Arc<Mutex<Wire>>,
    session: String,
    marks: u32,
}

/// The system's colour scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light background.
    Light,
    /// Light text on a dark background.
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
    /// When the browser has exited.
    pub async fn size(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await?;
        Ok(())
    }

    /// Sets the system's colour scheme.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn theme(&self, theme: Theme) -> anyhow::Result<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.as_str() });
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": [feature] }),
        )
        .await?;
        Ok(())
    }

    /// Turns the cache on or off.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn cache(&self, used: bool) -> anyhow::Result<()> {
        let disabled = json!({ "cacheDisabled": !used });
        self.call("Network.setCacheDisabled", disabled).await?;
        Ok(())
    }

    /// Turns scripts off, or on.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn scripts(&self, run: bool) -> anyhow::Result<()> {
        let disabled = json!({ "value": !run });
        self.call("Emulation.setScriptExecutionDisabled", disabled)
            .await?;
        Ok(())
    }

    /// The requests and errors since the last call.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn load(&self) -> anyhow::Result<Load> {
        // Events so far arrive before the answer of a call.
        self.evaluate::<Value>("null").await?;
        Ok(self.wire.lock().await.load(&self.session))
    }

    /// Deletes its cookies: the session is lost.
    ///
    /// # Errors
    /// When the browser has exited.
    pub async fn forget(&self) -> anyhow::Result<()> {
        self.call("Network.clearBrowserCookies", json!({})).await?;
        Ok(())
    }

    /// The value of a cookie, even if it's `HttpOnly`.
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

    /// A screenshot of the whole page, as WebP.
    ///
    /// # Errors
    /// When the browser cannot take it.
    pub async fn picture(&self, picture: Picture) -> anyhow::Result<Vec<u8>> {
        // Elements with a fixed position would appear in the middle of it.
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
        let text = taken["data"].as_str().context("the picture is empty")?;
        STANDARD.decode(text).context("the picture is not Base64")
    }

    /// Evaluates an expression in the page, regardless of its content security policy. Promises are awaited.
    ///
    /// # Errors
    /// When it throws, or has a value of another type.
    pub async fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> anyhow::Result<T> {
        let asked = json!({
            "expression": expression, "returnByValue": true, "awaitPromise": true,
        });
        let mut answer = self.call("Runtime.evaluate", asked).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            let what = thrown["exception"]["description"].as_str();
            bail!("{}", what.unwrap_or("it threw an unknown value"));
        }
        Ok(serde_json::from_value(answer["result"]["value"].take())?)
    }

    async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let mut wire = self.wire.lock().await;
        wire.call(Some(&self.session), method, params).await
    }

    /// Calls a function of `person.js`.
    async fn ask<T: DeserializeOwned>(&self, function: &str, args: &[Value]) -> anyhow::Result<T> {
        let args: Vec<_> = args.iter().map(Value::to_string).collect();
        self.evaluate(&format!("{PERSON}.{function}({})", args.join(", ")))
            .await
    }

    /// Polls until there is a value. The error after the deadline contains the text of the page.
    async fn until<T>(
        &self,
        what: &str,
        question: impl AsyncFn() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let began = Instant::now();
        let mut ticks = interval(LOOK);
        loop {
            ticks.tick().await;
            // While a page is replaced by another, calls fail.
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
                bail!("timed out waiting for: {what}{why}\nthe page {url} says:\n{shown}");
            }
        }
    }
}
