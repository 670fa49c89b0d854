//! Somebody at a browser: what a person does with the portals in one call each, in the words of the pages. Fails the test
//! with what the page shows.

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

/// The most that a page may weigh with all that it loads, in bytes.
pub const PAGE_BYTES: u64 = 100 * 1024;

/// The widths of a desk and of a telephone, in pixels.
pub const WIDTHS: [u32; 2] = [1280, 360];

/// The portals' cookie of who is signed in.
const SESSION: &str = "__Host-tidegate-session";

/// A browser of the test's own.
///
/// # Panics
/// When it does not start.
pub async fn browser() -> Browser {
    let browser = Browser::start(|program| Ok(process::leashed(program)));
    browser.await.expect("a browser can be started")
}

/// Somebody who looks at the portals.
#[derive(Debug)]
pub struct Person {
    /// The page that is looked at.
    pub page: Page,
    base: String,
    /// The words of the pages that were used, for whoever compares them with a document.
    used: Mutex<BTreeSet<String>>,
}

// === impl Person: the page ===

impl Person {
    /// Somebody who has not signed in, at the portals below this address.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn stranger(browser: &Browser, base: &str) -> Self {
        Self {
            page: good(browser.person().await),
            base: base.to_owned(),
            used: Mutex::default(),
        }
    }

    /// Somebody who signs in with the password that every user of the tests has.
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
    /// When it is not there.
    pub async fn sign_in(&mut self, name: &str, password: &str) {
        self.fill("User name", name).await;
        self.fill("Password", password).await;
        // The link in the frame has the same name.
        let mark = "User name";
        self.note("Sign in");
        good(self.page.follow("Sign in", Some(mark)).await);
    }

    /// Goes to a path of the control plane.
    ///
    /// # Panics
    /// When nobody answers.
    pub async fn go(&mut self, path: &str) {
        let url = format!("{}{path}", self.base);
        good(self.page.go(&url).await);
    }

    /// The path and query that is looked at.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn path(&self) -> String {
        let url = good(self.page.url().await);
        url.strip_prefix(&self.base).unwrap_or(&url).to_owned()
    }

    /// Ends the session at the server, as time does; the browser knows nothing of it.
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

    /// What was used since this was last asked: what was pressed, which fields were filled, what was typed, which words
    /// were looked for.
    ///
    /// # Panics
    /// Never.
    pub fn used(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.used.lock().expect("no test panics while it notes"))
    }

    /// Notes words as used.
    pub fn note(&self, words: &str) {
        let mut used = self.used.lock().expect("no test panics while it notes");
        used.insert(words.to_owned());
    }
}

// === impl Person: what is done ===

impl Person {
    /// Presses what bears this name.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn press(&self, name: &str) {
        self.note(name);
        good(self.page.press(name, None).await);
    }

    /// Presses what bears this name in the row, card or section with these words.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn press_near(&self, name: &str, near: &str) {
        self.note(name);
        good(self.page.press(name, Some(near)).await);
    }

    /// Presses what leads to another page, and waits for that.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn follow(&mut self, name: &str) {
        self.note(name);
        good(self.page.follow(name, None).await);
    }

    /// Presses what leads to another page in the row, card or section with these words, and waits for that.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn follow_near(&mut self, name: &str, near: &str) {
        self.note(name);
        good(self.page.follow(name, Some(near)).await);
    }

    /// Presses what leads to another page, if it is there, and waits for that.
    ///
    /// # Panics
    /// When it leads nowhere.
    pub async fn follow_if_offered(&mut self, name: &str) {
        // In the frame and in an empty list it leads to the same place; on the page that it leads to, it sends the form.
        if !self.path().await.starts_with("/sign-in") && self.is_offered(name).await {
            good(self.page.follow(name, None).await);
        }
    }

    /// Types into a field, in place of what is in it.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn fill(&self, label: &str, text: &str) {
        self.note(label);
        self.note(text);
        good(self.page.fill(label, text, None).await);
    }

    /// Chooses an option of a field.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn choose(&self, label: &str, option: &str) {
        self.note(label);
        self.note(option);
        good(self.page.choose(label, option, None).await);
    }

    /// Ticks a box.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn tick(&self, label: &str) {
        self.note(label);
        good(self.page.tick(label, None).await);
    }

    /// Chooses a file for a field.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn attach(&self, label: &str, file: &Path) {
        self.note(label);
        good(self.page.attach(label, file).await);
    }

    /// Presses what copies, and gives what the clipboard would hold.
    ///
    /// # Panics
    /// When it does not copy.
    pub async fn copies(&self, near: &str) -> String {
        // The machine's clipboard belongs to whoever works at it.
        const CATCH: &str = "navigator.clipboard.writeText = async (text) => { window.tidegateCopied = text; }; null";
        good(self.page.evaluate::<Option<u8>>(CATCH).await);
        self.press_near("Copy", near).await;
        self.sees("Copied").await;
        good(self.page.evaluate("window.tidegateCopied").await)
    }

    /// Waits until the page says these words.
    ///
    /// # Panics
    /// When it does not.
    pub async fn sees(&self, words: &str) {
        self.note(words);
        good(self.page.until_said(words).await);
    }

    /// Loads the page again until it says these words: what gateways tell comes when they tell it.
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

    /// Whether the page says these words now.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn says(&self, words: &str) -> bool {
        good(self.page.says(words).await)
    }

    /// Whether a link, button or menu of this name is there now.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn is_offered(&self, name: &str) -> bool {
        good(self.page.count(name, None).await) > 0
    }

    /// What is in a field.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn value(&self, label: &str) -> String {
        let value = good(self.page.value(label, None).await);
        value.unwrap_or_else(|| panic!("there is no field {label:?}"))
    }

    /// What is said to be wrong with a field.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn fault(&self, label: &str) -> String {
        good(self.page.fault(label).await)
    }
}

// === impl Person: what every page must be ===

impl Person {
    /// Looks at the page as it is, at both widths and in both themes: nothing that people with disabilities cannot use,
    /// nothing that must be moved sideways, no error on the console. Leaves it wide and light.
    ///
    /// # Panics
    /// When something is found; it says all that is.
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

    /// Goes to a path, weighs all that it loads, and judges it.
    ///
    /// # Panics
    /// When it is too heavy, asks strangers for something, or something is found.
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
        // The browser draws its own widgets with pictures that it has.
        let is_ours = |url: &str| url.starts_with(&self.base) || url.starts_with("data:");
        let stranger = load.urls.iter().find(|url| !is_ours(url));
        assert_eq!(stranger, None, "{path} asks a stranger");
        assert_eq!(load.complaints, Vec::<String>::new(), "{path}");
        self.judges(path).await;
    }

    /// What was loaded and complained of since this was last asked.
    ///
    /// # Panics
    /// When the browser is gone.
    pub async fn load(&self) -> Load {
        good(self.page.load().await)
    }

    /// What axe-core finds against WCAG 2.2, levels A and AA.
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
