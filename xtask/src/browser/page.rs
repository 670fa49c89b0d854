//! A page as its user meets it: how it is opened, drawn and asked. What its user does and sees there is in the folder:
//! things are named by what stands on them, and waited for until they are there.

mod does;
mod sees;

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
        let text = taken["data"].as_str().context("the picture is empty")?;
        STANDARD.decode(text).context("the picture is not Base64")
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
