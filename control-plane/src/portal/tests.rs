//! The portals as browsers meet them: the management listener in this process, over a store in memory. No browser; what
//! these look at is status, headers and text.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use tidegate_kit::{clock::Clock, secret::Secret};
use tower::ServiceExt as _;

mod devportal;
mod admin;
mod forms;
mod pages;
mod sign_in;
mod many;
mod publisher;

use super::{Portal, cookie, csrf, fields::Fields};
use crate::{
    config::OauthConfig,
    discovery::fleet::Fleet,
    domain::{
        actor::Actor,
        user::{Role, Roles},
    },
    http::{Peer, management},
    oauth::{KeyManager, rotation::Rotation},
    service::{Service, apis::ApiInput},
    store::memory::MemoryStore,
};

const PASSWORD: &str = "everybody's long password";

struct Stage {
    service: Service,
    clock: Clock,
    fleet: Fleet,
    door: Router,
}

/// A browser: it keeps cookies, and nothing else.
struct Browser<'a> {
    stage: &'a Stage,
    cookies: Vec<(String, String)>,
    headers: Vec<(&'static str, &'static str)>,
}

struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Stage {
    /// With an admin `ada`, a creator `carl`, a publisher `pat` and a subscriber `sue`.
    async fn new() -> Self {
        let clock = Clock::manual(1_800_000_000);
        let store = Arc::new(MemoryStore::default());
        let service = Service::open(store, clock.clone()).await.unwrap();
        for (name, role) in [
            ("ada", Role::Admin),
            ("carl", Role::Creator),
            ("pat", Role::Publisher),
            ("sue", Role::Subscriber),
        ] {
            let password = Secret::new(PASSWORD.to_owned());
            let roles = Roles::NONE.with(role);
            service
                .create_user(&Actor::system(), name, &password, roles)
                .await
                .unwrap();
        }
        let rotation = Rotation::new(service.clone(), &OauthConfig::default());
        rotation.look().await.unwrap();
        let key_manager = KeyManager::new(service.clone(), &OauthConfig::default()).unwrap();
        let fleet = Fleet::new(clock.clone(), Duration::from_secs(3600));
        let portal = Portal::new(service.clone(), fleet.clone(), rotation, key_manager);
        let peer = Peer(IpAddr::from([192, 0, 2, 7]));
        let nowhere = portal.not_found();
        let limit = Duration::from_secs(30);
        let door = management::routes(portal.routes(), nowhere, limit).layer(Extension(peer));
        Self {
            service,
            clock,
            fleet,
            door,
        }
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            stage: self,
            cookies: Vec::new(),
            headers: Vec::new(),
        }
    }

    async fn signed_in(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let page = browser.sign_in(name, PASSWORD, "").await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        browser
    }

    async fn published(&self, name: &str, display_name: &str) {
        let input = ApiInput {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            context: format!("/{}", name.to_lowercase()),
            version: "1.0".to_owned(),
            production_endpoint: "ws://backend:8080".to_owned(),
            plans: vec!["Gold".to_owned()],
            ..ApiInput::default()
        };
        self.service
            .create_api(&Actor::system(), input, true)
            .await
            .unwrap();
    }
}

impl Browser<'_> {
    async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, Body::empty()).await
    }

    /// Posts a form as it stands on a page: with the token that the page gave it.
    async fn post(&mut self, path: &str, token: &str, fields: Fields) -> Page {
        let body = fields.with(csrf::FIELD, token).encode();
        self.send(Method::POST, path, Body::from(body)).await
    }

    async fn sign_in(&mut self, name: &str, password: &str, next: &str) -> Page {
        let page = self.get("/sign-in").await;
        let token = page.token();
        let fields = Fields::new()
            .with("username", name)
            .with("password", password)
            .with("next", next);
        self.post("/sign-in", &token, fields).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Body) -> Page {
        let mut request = Request::builder().method(&method).uri(path);
        request = request.header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.cookies {
            request = request.header(header::COOKIE, format!("{name}={value}"));
        }
        let answer = self.stage.door.clone().oneshot(request.body(body).unwrap());
        let (parts, body) = answer.await.unwrap().into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Page {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let mut cookies = self.cookies.iter();
        cookies
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Page {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    fn location(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        self.header("location")
    }

    /// The token of the last form on the page; those before it are the frame's.
    fn token(&self) -> String {
        let begin = format!(r#"name="{}" value=""#, csrf::FIELD);
        let (_, rest) = self.text.rsplit_once(&begin).expect("the page has a form");
        rest.split('"').next().unwrap().to_owned()
    }

    fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }
}

/// The cookies that an answer sets, whole.
fn set(page: &Page, name: &str) -> String {
    let cookies = page.headers.get_all(header::SET_COOKIE).iter();
    let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
    let found = cookies.find(|cookie| cookie.starts_with(name));
    found.expect("the cookie is set").to_owned()
}

/// A session's token for a path, as a page of it would have.
fn token_of(browser: &Browser<'_>, path: &str) -> String {
    csrf::token(browser.cookie(cookie::SESSION).unwrap(), path)
}
