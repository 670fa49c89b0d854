//! A client of the browser's DevTools protocol: calls and their answers, and events, which are collected for each page.
//! JSON over one WebSocket; implements only the messages that are used here.

use std::{
    collections::{HashMap, HashSet},
    mem,
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::DEADLINE;

/// The screenshot of a long page is one message.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// The connection to a browser.
#[derive(Debug)]
pub(super) struct Wire {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
    /// By the DevTools session of a page.
    loads: HashMap<String, Load>,
}

/// The requests and errors of a page since the last call.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// The bytes received over the network, including heads.
    pub bytes: u64,
    /// The URLs of all requests.
    pub urls: Vec<String>,
    /// Errors on the console: of scripts, of the content security policy, of failed requests. A page with a status
    /// other than 200 isn't an error.
    pub complaints: Vec<String>,
    /// The texts of dialogs that scripts opened; each is dismissed.
    pub dialogs: Vec<String>,
    /// The URLs of pages.
    documents: HashSet<String>,
    /// Failed requests, with their URLs.
    unloaded: Vec<(String, String)>,
}

// === impl Wire ===

impl Wire {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES))
            .max_frame_size(Some(MESSAGE_BYTES));
        let connecting = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        let (socket, _) = connecting.await.context("cannot connect to the browser")?;
        Ok(Self {
            socket,
            last_id: 0,
            loads: HashMap::new(),
        })
    }

    /// Calls a method of the browser or of a page, and waits for its result.
    pub(super) async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<Value> {
        let answer = async {
            let id = self.send(session, method, params).await?;
            loop {
                let received = self.received().await?;
                if received["id"] == id {
                    return Ok(received);
                }
                self.note(&received).await?;
            }
        };
        let mut answer: Value = match timeout(DEADLINE, answer).await {
            Ok(answer) => answer.and_then(|received: Value| anyhow::Ok(received))?,
            Err(_) => bail!("the browser does not answer {method}"),
        };
        if let Some(error) = answer.get("error") {
            bail!("{method}: {}", error["message"]);
        }
        Ok(answer["result"].take())
    }

    /// The requests and errors of a page since the last call.
    pub(super) fn load(&mut self, session: &str) -> Load {
        let load = self.loads.entry(session.to_owned()).or_default();
        let documents = load.documents.clone();
        let mut load = mem::take(load);
        let unloaded = mem::take(&mut load.unloaded).into_iter();
        let of_its_own = unloaded.filter(|(url, _)| !documents.contains(url));
        load.complaints
            .extend(of_its_own.map(|(url, text)| format!("{text} ({url})")));
        load
    }

    async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> anyhow::Result<u64> {
        self.last_id += 1;
        let mut call = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        let sent = self.socket.send(Message::text(call.to_string())).await;
        sent.context("the browser has exited")?;
        Ok(self.last_id)
    }

    async fn received(&mut self) -> anyhow::Result<Value> {
        loop {
            let message = self.socket.next().await.context("the browser has exited")?;
            if let Message::Text(text) = message.context("the browser has exited")? {
                return serde_json::from_str(&text).context("the browser sent invalid JSON");
            }
        }
    }

    /// Records an event of a page.
    async fn note(&mut self, received: &Value) -> anyhow::Result<()> {
        let Some(session) = received["sessionId"].as_str() else {
            return Ok(());
        };
        let (method, params) = (text(&received["method"]), &received["params"]);
        let load = self.loads.entry(session.to_owned()).or_default();
        match method {
            "Network.requestWillBeSent" => {
                let url = text(&params["request"]["url"]).to_owned();
                if params["type"] == "Document" {
                    load.documents.insert(url.clone());
                }
                load.urls.push(url);
            }
            "Network.loadingFinished" => {
                // A number, but written as a fraction.
                let bytes = params["encodedDataLength"].as_f64().unwrap_or_default();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "bytes of a page"
                )]
                let bytes = bytes as u64;
                load.bytes += bytes;
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                let what = details["exception"]["description"].as_str();
                let what = what.unwrap_or_else(|| text(&details["text"]));
                load.complaints.push(what.to_owned());
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                load.complaints.push(params["args"].to_string());
            }
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                let entry = &params["entry"];
                let (url, what) = (text(&entry["url"]), text(&entry["text"]).to_owned());
                if entry["source"] == "network" {
                    load.unloaded.push((url.to_owned(), what));
                } else {
                    load.complaints.push(what);
                }
            }
            "Page.javascriptDialogOpening" => {
                load.dialogs.push(text(&params["message"]).to_owned());
                let session = session.to_owned();
                let no = json!({ "accept": false });
                self.send(Some(&session), "Page.handleJavaScriptDialog", no)
                    .await?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
