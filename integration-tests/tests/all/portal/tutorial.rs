//! docs/TUTORIAL.md, step by step, by three people in a browser against what `up` starts. The page and this test cannot
//! drift apart: the steps are the page's headings in their order, and whatever is bold in a step, and every value in its
//! tables, must have been used.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use tidegate_integration_tests::{
    client::Upgrade,
    person::{self, Person},
    process::{self, Process},
    python, wait,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::up::Up;

/// The page, from where we are on.
struct Page {
    steps: std::vec::IntoIter<Step>,
    open: Option<Step>,
}

struct Step {
    heading: String,
    /// What stands on pages or is typed.
    words: BTreeSet<String>,
}

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/TUTORIAL.md");
        let text = fs::read_to_string(path).unwrap();
        let steps: Vec<_> = text.split("\n## ").skip(1).map(Step::parse).collect();
        Self {
            steps: steps.into_iter(),
            open: None,
        }
    }

    /// Begins the next step, which must have this heading.
    fn step(&mut self, heading: &str) {
        assert!(self.open.is_none(), "a step is not done");
        let step = self.steps.next().expect("the page has another step");
        assert_eq!(step.heading, heading);
        self.open = Some(step);
    }

    /// Ends a step that somebody has done.
    fn done(&mut self, person: &Person) {
        let step = self.open.take().expect("a step was begun");
        let used = person.used();
        let missed: Vec<_> = step.words.difference(&used).collect();
        assert!(
            missed.is_empty(),
            "step {}: the page says {missed:?}, but nobody did",
            step.heading
        );
    }
}

impl Step {
    fn parse(section: &str) -> Self {
        let (heading, body) = section.split_once('\n').unwrap();
        let bold = body.split("**").skip(1).step_by(2);
        let tables = body.lines().filter(|line| line.starts_with("| **"));
        let typed = tables.flat_map(|line| line.split('`').skip(1).step_by(2));
        Self {
            heading: heading.to_owned(),
            words: bold.chain(typed).map(str::to_owned).collect(),
        }
    }
}

struct People<'a> {
    up: &'a Up,
    browser: xtask::browser::Browser,
}

impl People<'_> {
    /// Somebody at a portal, who signs in there with the account that was printed.
    async fn at(&self, portal: &str, username: &str) -> Person {
        let url = self.up.text(&format!("/portal/{portal}"));
        let base = url.strip_suffix(&format!("/{portal}")).unwrap();
        let accounts = self.up.line["portal"]["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|it| it["username"] == username);
        let password = account.and_then(|account| account["password"].as_str());
        let mut person = Person::stranger(&self.browser, base).await;
        person.go(&format!("/{portal}")).await;
        person.follow_if_offered("Sign in").await;
        person.sign_in(username, password.unwrap()).await;
        person
    }
}

/// Fills in the form that designs an API.
async fn design(person: &mut Person, name: &str, context: &str, backend: &str, plans: &[&str]) {
    person.press("Create API").await;
    person.follow("Design a new WebSocket API").await;
    person.fill("Name", name).await;
    person.fill("Context", context).await;
    person.fill("Version", "1.0").await;
    // The port of the page is another's here.
    person.note("ws://127.0.0.1:9001");
    person.fill("Endpoint", backend).await;
    person.sees("Business plans").await;
    for plan in plans {
        person.tick(plan).await;
    }
    person.sees(&format!("{context}/1.0")).await;
}

#[tokio::test]
async fn the_tutorial_does_what_its_page_says() {
    let mut page = Page::read();
    // Done by the lines below, not by somebody at a browser.
    page.step("1. Start Tidegate and a backend");
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--no-demo", "--ports", "auto"];
    let mut echo = process::command("xtask");
    let ready = folder.path().join("echo.json");
    echo.args(["echo", "--listen", "127.0.0.1:0", "--ready-file"]);
    echo.arg(&ready);
    let mut echo = Process::start("echo", folder.path(), echo);
    let (up, backend, browser) = tokio::join!(
        Up::start(folder.path(), &arguments),
        echo.ready::<String>(&ready),
        person::browser()
    );
    let people = People { up: &up, browser };
    page.open = None;

    publish(&mut page, &people, &backend).await;
    use_it(&mut page, &people).await;
    assert!(page.steps.next().is_none(), "the page has more steps");

    wait::within("`up` ends", up.stop(rustix::process::Signal::TERM)).await;
}

/// The API of the tutorial.
const NAME: &str = "EchoWebSocket";

async fn publish(page: &mut Page, people: &People<'_>, backend: &str) {
    page.step("2. Sign in to the publisher portal");
    let mut creator = people.at("publisher", "creator").await;
    page.done(&creator);

    page.step("3. Design a WebSocket API");
    design(
        &mut creator,
        NAME,
        "/echowebsocket",
        backend,
        &["Gold", "Silver"],
    )
    .await;
    assert!(!creator.is_offered("Create and publish").await);
    creator.follow("Create").await;
    for words in ["Publishing checklist", "Deployment", "Publication"] {
        creator.sees(words).await;
    }
    assert_eq!(creator.page.heading().await.unwrap(), NAME);
    page.done(&creator);

    page.step("4. Publish it");
    let mut publisher = people.at("publisher", "publisher").await;
    publisher.follow(NAME).await;
    publisher.follow("Deployments").await;
    publisher.follow("Create revision").await;
    publisher.follow("Deploy").await;
    publisher.reloads_until("Acknowledged").await;
    publisher.follow("Overview").await;
    publisher.follow("Publish").await;
    publisher.sees("Developers can find the API").await;
    page.done(&publisher);

    page.step("5. Create and publish in one step");
    publisher.follow("APIs").await;
    design(
        &mut publisher,
        "EchoAtOnce",
        "/echoatonce",
        backend,
        &["Gold"],
    )
    .await;
    publisher.follow("Create and publish").await;
    publisher.sees("Developers can find the API").await;
    page.done(&publisher);
}

async fn use_it(page: &mut Page, people: &People<'_>) {
    page.step("6. Find it and subscribe");
    let mut subscriber = people.at("devportal", "subscriber").await;
    subscribe(&mut subscriber, NAME).await;
    page.done(&subscriber);

    page.step("7. Create a key");
    subscriber.follow("Applications").await;
    subscriber.follow("Dashboard").await;
    subscriber.follow("Create production key").await;
    subscriber.sees("Client secret").await;
    let mut line = Command::new("bash");
    line.arg("-c").arg(code(&subscriber, "curl").await);
    line.env("CURL_CA_BUNDLE", people.up.text("/admin/ca_cert"));
    assert!(first_line(line).await.contains("access_token"));
    subscriber.follow("Done").await;
    page.done(&subscriber);

    page.step("8. Try it in the console");
    talk(&mut subscriber, NAME).await;
    page.done(&subscriber);

    page.step("9. Connect from a terminal");
    subscriber.follow("Code").await;
    subscriber.follow("Get a token").await;
    subscriber.tick("wscat").await;
    subscriber.sees("wscat -c").await;
    let line = code(&subscriber, "wscat").await;
    let (_, token) = line.split_once("Bearer ").unwrap();
    let token = token.trim_end().trim_end_matches('\'');
    let address = people
        .up
        .text("/data_planes/0/ws")
        .trim_start_matches("ws://");
    let upgrade = Upgrade::to("/echowebsocket/1.0").bearer(token);
    let mut client = upgrade.open(address.parse().unwrap()).await;
    client.echo("hello").await;
    client.close().await;
    let mut program = Command::new(python::interpreter());
    let text = code(&subscriber, "from websockets").await;
    program.args(["-u", "-c", &text]);
    assert_eq!(first_line(program).await, "hello");
    page.done(&subscriber);
}

/// The code on the page that begins with these words.
async fn code(person: &Person, words: &str) -> String {
    let texts = "[...document.querySelectorAll('pre')].map((pre) => pre.textContent)";
    let texts: Vec<String> = person.page.evaluate(texts).await.unwrap();
    let found = texts.iter().find(|text| text.starts_with(words));
    found
        .unwrap_or_else(|| panic!("no {words} in {texts:?}"))
        .clone()
}

/// What a program writes first; it may go on for ever.
async fn first_line(mut program: Command) -> String {
    program.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = program.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = wait::within("the code does something", lines.next_line()).await;
    line.unwrap().expect("the code writes a line")
}

async fn subscribe(subscriber: &mut Person, api: &str) {
    subscriber.fill("Search", "echoweb").await;
    subscriber.follow("Search").await;
    subscriber.follow(api).await;
    subscriber.follow("Subscribe").await;
    subscriber.follow("Create application").await;
    subscriber.fill("Name", "Dashboard").await;
    subscriber.follow("Create application").await;
    subscriber.choose("Plan", "Gold").await;
    subscriber.follow("Subscribe").await;
    subscriber.sees("Subscription created").await;
}

async fn talk(subscriber: &mut Person, api: &str) {
    subscriber.follow("APIs").await;
    subscriber.follow(api).await;
    subscriber.follow("Console").await;
    subscriber.follow("Get a token").await;
    subscriber.press("Connect").await;
    subscriber.sees("Connected").await;
    subscriber.fill("Message", "hello").await;
    subscriber.press("Send").await;
    subscriber.sees("↓ Received").await;
    subscriber.sees("text, 5 bytes").await;
    subscriber.press("Disconnect").await;
    subscriber.sees("Disconnected").await;
}
