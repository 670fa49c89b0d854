//! A person at a browser: one call for each action in the portals, with the texts of the pages. A failure includes the
//! text of the page.

use std::{collections::BTreeSet, path::Path, sync::Mutex, time::Instant};

use tidegate_proto::admin::v1::{SignOutRequest, session_service_client::SessionServiceClient};
use xtask::{
    browser::{Browser, Load, Page, Theme},
    client::{self, Bearer},
};

use crate::{
    control_plane::{ControlPlane, PASSWORD},
    process, python, wait,
};

/// The maximal size of a page with everything that it loads, in bytes.
pub const PAGE_BYTES: u64 = 100 * 1024;

/// The widths of a desktop and of a phone, in pixels.
pub const WIDTHS: [u32; 2] = [1280, 360];

/// The portals' session cookie.
const SESSION: &str = "__Host-tidegate-session";

/// Starts a browser for the test.
///
/// # Panics
/// When it doesn't start.
pub async fn browser() -> Browser {
    let browser = Browser::start(|program| Ok(process::leashed(program)));
    browser.await.expect("a browser can be started")
}

/// A user of the portals.
#[derive(Debug)]
pub struct Person {
    /// The current page.
    pub page: Page,
    base: String,
    /// The texts of the pages that were used, for comparison with a document.
    used: Mutex<BTreeSet<String>>,
}

// === impl Person: the page ===

impl Person {
    /// An anonymous user of the portals at this URL.
    ///
    /// # Panics
    /// When the browser has exited.
    pub async fn stranger(browser: &Browser, base: &str) -> Self {
        Self {
            page: good(browser.person().await),
            base: base.to_owned(),
            used: Mutex::default(),
        }
    }

    /// A user who signs in with the password that all users of the tests have.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn signed_in(browser: &Browser, base: &str, name: &str) -> Self {
        let mut person = Self::stranger(browser, base).await;
        person.go("/sign-in").await;
        person.sign_in(name, PASSWORD).await;
        person
    }

    /// Fills in the form of the sign-in page.
    ///
    /// # Panics
    /// When there is none.
    pub async fn sign_in(&mut self, name: &str, password: &str) {
        self.fill("User name", name).await;
        self.fill("Password", password).await;
        // The link in the page's header has the same name.
        let mark = "User name";
        self.note("Sign in");
        good(self.page.follow("Sign in", Some(mark)).await);
    }

    /// Navigates to a path of the control plane.
    ///
    /// # Panics
    /// When the page doesn't load.
    pub async fn go(&mut self, path: &str) {
        let url = format!("{}{path}", self.base);
        good(self.page.go(&url).await);
    }

    /// The path and query of the current page.
    ///
    /// # Panics
    /// When the browser has exited.
    pub async fn path(&self) -> String {
        let url = good(self.page.url().await);
        url.strip_prefix(&self.base).unwrap_or(&url).to_owned()
    }

    /// Ends the session at the server, as if it had expired; the browser keeps its cookie.
    ///
    /// # Panics
    /// When nobody is signed in.
    pub async fn session_expires(&self, control_plane: &ControlPlane) {
        let token = good(self.page.cookie(SESSION).await);
        let bearer = Bearer::new(&token).expect("a token is ASCII");
        let (url, ca_cert) = (control_plane.url(), &control_plane.ready.ca_cert);
        let channel = client::connect(&url, ca_cert, bearer).await;
        let mut sessions = SessionServiceClient::new(channel.expect("the control plane runs"));
        let ended = sessions.sign_out(SignOutRequest::default()).await;
        ended.expect("whoever is signed in can sign out");
    }

    /// The texts that were used since the last call: names that were pressed, fields that were filled, what was typed,
    /// texts that were looked for.
    ///
    /// # Panics
    /// Never.
    pub fn used(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.used.lock().expect("no test panics while it notes"))
    }

    /// Records a text as used.
    pub fn note(&self, words: &str) {
        let mut used = self.used.lock().expect("no test panics while it notes");
        used.insert(words.to_owned());
    }
}

// === impl Person: what is done ===

impl Person {
    /// Presses the element with this name.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press(&self, name: &str) {
        self.note(name);
        good(self.page.press(name, None).await);
    }

    /// Presses the element with this name in the row, card or section with a text.
    ///
    /// # Panics
    /// When there is none.
    pub async fn press_near(&self, name: &str, near: &str) {
        self.note(name);
        good(self.page.press(name, Some(near)).await);
    }

    /// Presses a link or button, and waits for the next page.
    ///
    /// # Panics
    /// When there is none.
    pub async fn follow(&mut self, name: &str) {
        self.note(name);
        good(self.page.follow(name, None).await);
    }

    /// Presses a link or button in the row, card or section with a text, and waits for the next page.
    ///
    /// # Panics
    /// When there is none.
    pub async fn follow_near(&mut self, name: &str, near: &str) {
        self.note(name);
        good(self.page.follow(name, Some(near)).await);
    }

    /// Presses a link or button if there is one, and waits for the next page.
    ///
    /// # Panics
    /// When no other page loads.
    pub async fn follow_if_offered(&mut self, name: &str) {
        // In the header and in an empty list it leads to the same page; on that page, it submits the form.
        if !self.path().await.starts_with("/sign-in") && self.is_offered(name).await {
            good(self.page.follow(name, None).await);
        }
    }

    /// Replaces the content of a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn fill(&self, label: &str, text: &str) {
        self.note(label);
        self.note(text);
        good(self.page.fill(label, text, None).await);
    }

    /// Chooses an option of a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn choose(&self, label: &str, option: &str) {
        self.note(label);
        self.note(option);
        good(self.page.choose(label, option, None).await);
    }

    /// Toggles a checkbox.
    ///
    /// # Panics
    /// When there is none.
    pub async fn tick(&self, label: &str) {
        self.note(label);
        good(self.page.tick(label, None).await);
    }

    /// Chooses a file for a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn attach(&self, label: &str, file: &Path) {
        self.note(label);
        good(self.page.attach(label, file).await);
    }

    /// Presses a copy button and returns what the clipboard would contain.
    ///
    /// # Panics
    /// When nothing is copied.
    pub async fn copies(&self, near: &str) -> String {
        // The test must not change the machine's clipboard.
        const CATCH: &str = "navigator.clipboard.writeText = async (text) => { window.tidegateCopied = text; }; null";
        good(self.page.evaluate::<Option<u8>>(CATCH).await);
        self.press_near("Copy", near).await;
        self.sees("Copied").await;
        good(self.page.evaluate("window.tidegateCopied").await)
    }

    /// Waits until the page contains a text.
    ///
    /// # Panics
    /// When it doesn't.
    pub async fn sees(&self, words: &str) {
        self.note(words);
        good(self.page.until_said(words).await);
    }

    /// Reloads the page until it contains a text: reports of gateways arrive with a delay.
    ///
    /// # Panics
    /// When it never does.
    pub async fn reloads_until(&mut self, words: &str) {
        self.note(words);
        let began = Instant::now();
        while !self.says(words).await {
            let text = good(self.page.text().await);
            assert!(began.elapsed() < wait::DEADLINE, "no {words:?}: {text}");
            good(self.page.reload().await);
        }
    }

    /// Whether the page contains a text now.
    ///
    /// # Panics
    /// When the browser has exited.
    pub async fn says(&self, words: &str) -> bool {
        good(self.page.says(words).await)
    }

    /// Whether there is a link, button or menu with this name now.
    ///
    /// # Panics
    /// When the browser has exited.
    pub async fn is_offered(&self, name: &str) -> bool {
        good(self.page.count(name, None).await) > 0
    }

    /// The value of a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn value(&self, label: &str) -> String {
        let value = good(self.page.value(label, None).await);
        value.unwrap_or_else(|| panic!("there is no field {label:?}"))
    }

    /// The error message of a field.
    ///
    /// # Panics
    /// When there is none.
    pub async fn fault(&self, label: &str) -> String {
        good(self.page.fault(label).await)
    }
}

// === impl Person: what every page must be ===

impl Person {
    /// Checks the page at both widths and in both themes: accessibility, no horizontal scrolling, no error on the
    /// console. Leaves it wide and light.
    ///
    /// # Panics
    /// When there are faults; the message lists all of them.
    pub async fn judges(&self, what: &str) {
        let mut faults = Vec::new();
        for width in WIDTHS {
            good(self.page.size(width, 800).await);
            let overflow = good(self.page.overflow().await);
            if overflow > 0 {
                faults.push(format!("at {width} it is {overflow} pixels too wide"));
            }
            for theme in Theme::ALL {
                good(self.page.theme(theme).await);
                for fault in self.axe().await {
                    faults.push(format!("at {width}, {}: {fault}", theme.as_str()));
                }
            }
        }
        good(self.page.theme(Theme::Light).await);
        good(self.page.size(WIDTHS[0], 800).await);
        faults.extend(self.load().await.complaints);
        assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
    }

    /// Navigates to a path, measures what it loads, and checks the page.
    ///
    /// # Panics
    /// When the page is too large, sends requests to other hosts, or has faults.
    pub async fn visits(&mut self, path: &str) {
        good(self.page.cache(false).await);
        self.load().await;
        self.go(path).await;
        let load = self.load().await;
        good(self.page.cache(true).await);
        assert!(
            load.bytes > 0 && load.bytes < PAGE_BYTES,
            "{path} weighs {} bytes",
            load.bytes
        );
        // The browser has built-in images for its own widgets.
        let is_ours = |url: &str| url.starts_with(&self.base) || url.starts_with("data:");
        let stranger = load.urls.iter().find(|url| !is_ours(url));
        assert_eq!(stranger, None, "{path} asks a stranger");
        assert_eq!(load.complaints, Vec::<String>::new(), "{path}");
        self.judges(path).await;
    }

    /// The requests and errors since the last call.
    ///
    /// # Panics
    /// When the browser has exited.
    pub async fn load(&self) -> Load {
        good(self.page.load().await)
    }

    /// The violations of WCAG 2.2, levels A and AA, that axe-core finds.
    async fn axe(&self) -> Vec<String> {
        const RUN: &str = r"(async () => {
            const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
            // A colour that is on its way is none yet.
            for (const animation of document.getAnimations()) animation.finish();
            const { violations } = await axe.run(document, { runOnly: { type: 'tag', values: tags }, resultTypes: ['violations'] });
            return violations.flatMap(({ id, help, nodes }) =>
                nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target}: ${failureSummary}`));
        })()";
        let is_there = "typeof axe === 'object'";
        if !good(self.page.evaluate::<bool>(is_there).await) {
            let script = format!("{}; null", python::axe());
            good(self.page.evaluate::<Option<u8>>(&script).await);
        }
        good(self.page.evaluate(RUN).await)
    }
}

fn good<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error:#}"))
}
