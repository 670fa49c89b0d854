//! Code to paste: how to get a token, and how to connect in each language. The texts only; every address and token in
//! them is of letters that need no escaping in any of these languages.

use super::addresses::GatewayAddress;

/// A piece of code in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    /// Names it in the page.
    pub(super) id: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// The command that installs what it needs; may be empty.
    pub(super) needs: &'static str,
    /// The code.
    pub(super) text: String,
}

/// Stands for a token that isn't known.
pub(super) const PLACEHOLDER: &str = "YOUR_TOKEN";

/// A line that begins with `?` is only for topics that clients may send to.
const CONNECT: [(&str, &str, &str, &str); 7] = [
    (
        "browser",
        "Browser",
        "",
        r#"const socket = new WebSocket("$URL", ["tidegate.token", "$TOKEN"]);
?socket.onopen = () => socket.send("hello");
socket.onmessage = (event) => console.log(event.data);
socket.onclose = (event) => console.log("closed", event.code, event.reason);
"#,
    ),
    (
        "node",
        "Node",
        "npm install ws",
        r#"// talk.mjs
import WebSocket from "ws";

const socket = new WebSocket("$URL", {
  headers: { Authorization: "Bearer $TOKEN" },
});
?socket.on("open", () => socket.send("hello"));
socket.on("message", (data) => console.log(data.toString()));
socket.on("close", (code, reason) => console.log("closed", code, reason.toString()));
socket.on("error", (error) => console.error(error.message));
"#,
    ),
    (
        "python",
        "Python",
        "pip install websockets",
        r#"from websockets.sync.client import connect

headers = {"Authorization": "Bearer $TOKEN"}
with connect("$URL", additional_headers=headers) as socket:
?    socket.send("hello")
    for message in socket:
        print(message)
"#,
    ),
    (
        "go",
        "Go",
        "go get github.com/coder/websocket",
        r#"package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/coder/websocket"
)

func main() {
	ctx := context.Background()
	header := http.Header{"Authorization": {"Bearer $TOKEN"}}
	conn, _, err := websocket.Dial(ctx, "$URL", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.CloseNow()
?	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
?		log.Fatal(err)
?	}
	for {
		_, message, err := conn.Read(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(string(message))
	}
}
"#,
    ),
    (
        "rust",
        "Rust",
        "cargo add futures-util tokio --features tokio/full && cargo add tokio-tungstenite --features rustls-tls-native-roots && cargo add rustls --no-default-features --features ring,std",
        r#"use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut request = "$URL".into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("authorization", "Bearer $TOKEN".parse()?);
    let (mut socket, _) = connect_async(request).await?;
?    socket.send(Message::text("hello")).await?;
    while let Some(message) = socket.next().await {
        println!("{}", message?);
    }
    Ok(())
}
"#,
    ),
    (
        "wscat",
        "wscat",
        "npm install -g wscat",
        "wscat -c '$URL' -H 'Authorization: Bearer $TOKEN'\n",
    ),
    (
        "websocat",
        "websocat",
        "",
        "websocat -H='Authorization: Bearer $TOKEN' '$URL'\n",
    ),
];

/// How to connect to a topic of an API at an address, in every language.
pub(super) fn connect(
    address: &GatewayAddress,
    path: &str,
    token: &str,
    sends: bool,
) -> Vec<Snippet> {
    let url = format!("{}{path}", address.url);
    let snippets = CONNECT.into_iter().map(|(id, name, needs, text)| {
        let mut lines = String::with_capacity(text.len() + url.len() + token.len());
        for line in text.split_inclusive('\n') {
            match line.strip_prefix('?') {
                Some(line) if sends => lines.push_str(line),
                Some(_) => {}
                None => lines.push_str(line),
            }
        }
        // Rust's imports say what is used.
        if !sends {
            lines = lines.replace("{SinkExt, StreamExt}", "StreamExt").replace(
                "{Message, client::IntoClientRequest}",
                "client::IntoClientRequest",
            );
        }
        Snippet {
            id,
            name,
            needs,
            text: lines.replace("$URL", &url).replace("$TOKEN", token),
        }
    });
    snippets.collect()
}

/// How an application gets a token; the secret is shown where it is known.
pub(super) fn token(endpoint: &str, client_id: &str, secret: Option<&str>) -> String {
    let secret = secret.unwrap_or("YOUR_CLIENT_SECRET");
    format!(
        "curl -sS '{endpoint}' \\\n  -u '{client_id}:{secret}' \\\n  -d grant_type=client_credentials\n"
    )
}

#[cfg(test)]
mod tests {
    use super::{GatewayAddress, PLACEHOLDER, connect, token};

    fn address() -> GatewayAddress {
        GatewayAddress {
            key: "default/ws".to_owned(),
            environment: "Default".to_owned(),
            url: "ws://localhost:9099/echo/1.0".to_owned(),
            opens_from_page: true,
        }
    }

    #[test]
    fn every_language_gets_the_address_and_the_token() {
        let snippets = connect(&address(), "/rooms/room", PLACEHOLDER, true);
        assert_eq!(snippets.len(), 7);
        for snippet in snippets {
            let text = &snippet.text;
            assert!(
                text.contains("ws://localhost:9099/echo/1.0/rooms/room"),
                "{text}"
            );
            assert!(text.contains(PLACEHOLDER) && !text.contains('$'), "{text}");
            assert!(text.lines().all(|line| !line.starts_with('?')), "{text}");
        }
    }

    #[test]
    fn nothing_is_sent_to_a_topic_that_clients_only_receive_from() {
        for snippet in connect(&address(), "", "t", false) {
            let text = &snippet.text;
            assert!(
                !text.contains("hello") && !text.contains("SinkExt"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_token_is_requested_at_the_token_endpoint() {
        let text = token("https://localhost:9443/oauth2/token", "abc", None);
        assert!(text.contains("'https://localhost:9443/oauth2/token'"));
        assert!(text.contains("-u 'abc:YOUR_CLIENT_SECRET'"));
        assert!(token("https://x", "abc", Some("s")).contains("-u 'abc:s'"));
    }
}
