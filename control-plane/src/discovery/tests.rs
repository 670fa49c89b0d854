//! The service against scripted nodes, over real TLS, fed with states that a test changes.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls_pki_types::ServerName;
use tempfile::TempDir;
use tidegate_kit::{
    clock::Clock,
    secret::Secret,
    tasks::Tasks,
    tls::{Authority, Roots, client_config},
};
use tidegate_proto::{
    discovery::v1::{
        Ack, Batch, CounterUsage, Heartbeat, HeldResource, Hello, Ledger, LedgerKind, NodeMessage,
        Rejection, SubscriptionUsage, Unit, Usage, discovery_client::DiscoveryClient,
        node_message::Message,
    },
    revision::RevisionNumber,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use super::{
    StreamSettings,
    fleet::{Fleet, NodeView},
    join::JoinTokens,
    router,
};
use crate::{
    config::LimitsConfig,
    domain::{object::ObjectKey, state::State, subscription::SubscriptionState},
    http::{ALPN, Listener, ListenerLimits},
    projection::fixture::{
        World, api_id, environment, plan_name, subscription_id, subscription_key,
    },
};

const PATIENCE: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(86_400);
/// How long a stranger may stay.
const ADMISSION: Duration = Duration::from_secs(3);

/// A control plane of which only the stream is real.
struct Plane {
    world: World,
    states: watch::Sender<Arc<State>>,
    fleet: Fleet,
    address: String,
    authority: Authority,
    tasks: Tasks,
    _dir: TempDir,
}

impl Plane {
    async fn start() -> Self {
        Self::with_debounce(Duration::from_millis(1)).await
    }

    async fn with_debounce(debounce: Duration) -> Self {
        tidegate_kit::tls::install();
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(dir.path()).unwrap();
        let identity = authority.issue(&["127.0.0.1".to_owned()]).unwrap();
        let world = World::with_one_api();
        let states = watch::Sender::new(world.state());
        let (tasks, fleet) = (Tasks::current(), Fleet::new(Clock::System, DAY));
        let settings = StreamSettings {
            join_tokens: JoinTokens::fixed(&Secret::new("let-me-in".to_owned())),
            debounce,
        };
        let limits = ListenerLimits {
            connections: 100,
            connections_per_address: 100,
            handshake: PATIENCE,
            admission: Some(ADMISSION),
            ..ListenerLimits::discovery(&LimitsConfig::default())
        };
        let tls = Arc::new(ArcSwap::new(identity.server_config(ALPN).unwrap()));
        let door = Listener::bind("discovery", "127.0.0.1:0", tls, limits)
            .await
            .unwrap();
        let address = format!("https://{}", door.address());
        let router = router(settings, states.subscribe(), fleet.clone(), &tasks);
        tasks.spawn("door", door.serve(router, tasks.clone()));
        Self {
            world,
            states,
            fleet,
            address,
            authority,
            tasks,
            _dir: dir,
        }
    }

    fn commit(&mut self, change: impl FnOnce(&mut World)) {
        change(&mut self.world);
        self.states.send_replace(self.world.state());
    }

    fn latest(&self) -> u64 {
        self.world.0.number().get()
    }

    fn view(&self, node: &str) -> Option<NodeView> {
        self.fleet.node(&environment("default"), node)
    }

    /// Waits until the view of a node is as it should be.
    async fn sees(&self, node: &str, right: impl Fn(&NodeView) -> bool) -> NodeView {
        let seen = async {
            loop {
                match self.view(node) {
                    Some(view) if right(&view) => return view,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        timeout(PATIENCE, seen)
            .await
            .expect("the fleet comes to see it")
    }

    async fn open(&self, token: &str, first: Option<NodeMessage>) -> Result<Node, Status> {
        let certificate = Certificate::from_pem(&self.authority.ca_pem);
        let channel = Endpoint::from_shared(self.address.clone())
            .unwrap()
            .tls_config(ClientTlsConfig::new().ca_certificate(certificate))
            .unwrap()
            .connect()
            .await
            .expect("the door is open");
        let (words, waiting) = mpsc::channel(8);
        if let Some(first) = first {
            words.send(first).await.unwrap();
        }
        let mut request = Request::new(ReceiverStream::new(waiting));
        let token = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
        let batches = DiscoveryClient::new(channel).stream(request).await?;
        Ok(Node {
            words,
            batches: batches.into_inner(),
        })
    }

    async fn join(&self, node: &str, held: Vec<HeldResource>) -> Node {
        let hello = hello(node, "default", held);
        self.open("let-me-in", Some(hello))
            .await
            .expect("the node is let in")
    }

    async fn refusal(&self, token: &str, first: NodeMessage) -> Status {
        self.open(token, Some(first))
            .await
            .err()
            .expect("it is refused")
    }

    async fn stop(self) {
        assert_eq!(self.tasks.shut_down(PATIENCE).await, 0);
    }
}

fn hello(node: &str, environment: &str, held: Vec<HeldResource>) -> NodeMessage {
    word(Message::Hello(Hello {
        node: node.to_owned(),
        environment: environment.to_owned(),
        software: "0.1".to_owned(),
        number: 0,
        held,
        process: 1,
    }))
}

fn word(message: Message) -> NodeMessage {
    NodeMessage {
        message: Some(message),
    }
}

/// A gateway node of which only the stream is real.
struct Node {
    words: mpsc::Sender<NodeMessage>,
    batches: Streaming<Batch>,
}

impl Node {
    async fn batch(&mut self) -> Batch {
        self.next().await.expect("a batch comes")
    }

    async fn next(&mut self) -> Result<Batch, Status> {
        let batch = timeout(PATIENCE, self.batches.message()).await;
        batch
            .expect("something comes")
            .map(|batch| batch.expect("the stream goes on"))
    }

    async fn say(&self, message: Message) {
        self.words.send(word(message)).await.unwrap();
    }

    async fn ack(&self, number: u64, rejections: Vec<Rejection>) {
        self.say(Message::Ack(Ack { number, rejections })).await;
    }

    /// Takes batches until it runs a number; gives what came on the way.
    async fn reach(&mut self, number: u64) -> Batch {
        let mut all = Batch::default();
        while all.number < number {
            let batch = self.batch().await;
            assert!(!batch.more);
            self.ack(batch.number, vec![]).await;
            all.number = batch.number;
            all.upserts.extend(batch.upserts);
            all.removals.extend(batch.removals);
        }
        all
    }
}

fn holds(batch: &Batch) -> Vec<HeldResource> {
    let upserts = batch.upserts.iter();
    upserts
        .map(|resource| HeldResource {
            name: resource.name.clone(),
            version: resource.version,
        })
        .collect()
}

fn names(batch: &Batch) -> Vec<&str> {
    batch
        .upserts
        .iter()
        .map(|resource| resource.name.as_str())
        .collect()
}

fn subscription() -> String {
    format!("subscriptions/{}", subscription_id(1))
}

#[tokio::test]
async fn a_new_node_gets_everything_and_then_only_what_changes() {
    let mut plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    let first = node.batch().await;
    assert_eq!((first.upserts.len(), first.number), (10, plane.latest()));
    node.ack(first.number, vec![]).await;
    plane.commit(|world| {
        world.change_subscription(1, |it| it.state = SubscriptionState::Blocked);
    });
    let change = node.reach(plane.latest()).await;
    assert_eq!(names(&change), [subscription()]);
    plane.commit(|world| world.undeploy(1, "default"));
    let gone = node.reach(plane.latest()).await;
    assert_eq!(gone.upserts, vec![]);
    assert_eq!(
        gone.removals,
        [format!("apis/{}", api_id(1)), subscription()]
    );
    let latest = plane.world.0.number();
    let view = plane.sees("n", |view| view.number == latest).await;
    assert_eq!((view.lag(latest), view.connected()), (0, true));
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_reconnects_gets_only_the_differences() {
    let mut plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    let mut held = holds(&node.reach(plane.latest()).await);
    drop(node);
    plane.commit(|world| world.change_subscription(1, |it| it.plan = plan_name("Silver")));
    held.push(HeldResource {
        name: "applications/00000000-0000-0000-0000-00000000ffff".to_owned(),
        version: 1,
    });
    held.push(HeldResource {
        name: "of/another/kind".to_owned(),
        version: 1,
    });
    let mut node = plane.join("n", held).await;
    let difference = node.batch().await;
    assert_eq!(names(&difference), [subscription()]);
    assert_eq!(difference.removals.len(), 2);
    node.ack(difference.number, vec![]).await;
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_is_up_to_date_is_told_so() {
    let plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    let held = holds(&node.reach(plane.latest()).await);
    let mut again = plane.join("n", held).await;
    // At once: its number is that of the last batch it got, and what came after may have changed nothing for it.
    let latest = plane.world.0.number();
    plane.sees("n", |view| view.number == latest).await;
    let nothing = again.batch().await;
    assert_eq!((nothing.upserts.len(), nothing.removals.len()), (0, 0));
    assert_eq!(nothing.number, plane.latest());
    // The stream before is ended: the node has given it up.
    assert_eq!(node.next().await.unwrap_err().code(), Code::Aborted);
    plane.stop().await;
}

#[tokio::test]
async fn a_commit_that_changes_nothing_a_node_runs_is_not_sent_and_the_node_is_up_to_date() {
    let mut plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    node.reach(plane.latest()).await;
    let told = plane.latest();
    for _ in 0..3 {
        // The working copy of an API; gateways run a revision of it.
        plane.commit(|world| {
            world.change_api(1, |api| api.design.description.push('!'));
        });
        let latest = plane.world.0.number();
        plane.sees("n", |view| view.number == latest).await;
    }
    node.say(Message::Heartbeat(Heartbeat {
        number: told,
        open_sessions: 3,
        ..Heartbeat::default()
    }))
    .await;
    let view = plane.sees("n", |view| view.open_sessions == 3).await;
    assert_eq!(view.number, plane.world.0.number());
    plane.commit(|world| world.register(7));
    // Nothing was sent in between: the next batch is the first with this.
    assert_eq!(node.batch().await.number, plane.latest());
    plane.stop().await;
}

#[tokio::test]
async fn while_a_batch_is_unacknowledged_changes_gather_for_the_next() {
    let mut plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    let first = node.batch().await;
    for plan in ["Silver", "Bronze", "Gold", "Silver"] {
        plane.commit(|world| world.change_subscription(1, |it| it.plan = plan_name(plan)));
    }
    plane.commit(|world| world.register(7));
    node.say(Message::Heartbeat(Heartbeat {
        number: 0,
        open_sessions: 3,
        ..Heartbeat::default()
    }))
    .await;
    let view = plane.sees("n", |view| view.open_sessions == 3).await;
    assert_eq!(view.number, RevisionNumber::ZERO);
    node.ack(first.number, vec![]).await;
    let next = node.reach(plane.latest()).await;
    let mut changed = names(&next);
    changed.sort_unstable();
    changed.dedup();
    assert_eq!(changed.len(), next.upserts.len(), "a resource is sent once");
    assert_eq!(next.upserts.len(), 3);
    plane.stop().await;
}

#[tokio::test]
async fn what_a_node_has_used_and_what_ails_its_ledger_are_seen_in_the_fleet() {
    let plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    node.batch().await;
    let now = Clock::System.now_millis();
    node.say(Message::Usage(Usage {
        subscriptions: vec![SubscriptionUsage {
            open_sessions: 2,
            counters: vec![CounterUsage {
                unit: Unit::Messages.into(),
                window_seconds: 86_400,
                window_start: now / 86_400_000 * 86_400,
                used: 7,
            }],
            quota_generation: 0,
            application: subscription_key(1).application.to_string(),
            api: subscription_key(1).api.to_string(),
        }],
        ledger_time_millis: now,
    }))
    .await;
    node.say(Message::Heartbeat(Heartbeat {
        ledger: Some(Ledger {
            kind: LedgerKind::Redis.into(),
            fault: "nobody listens".to_owned(),
        }),
        ..Heartbeat::default()
    }))
    .await;
    let view = plane.sees("n", |view| view.ledger.is_some()).await;
    let ledger = view.ledger.unwrap();
    assert_eq!((ledger.shared, &*ledger.fault), (true, "nobody listens"));
    let seen = plane
        .fleet
        .consumption(&environment("default"), subscription_key(1), 0);
    assert_eq!((seen.figures[0].used, seen.open_sessions), (7, 2));
    assert_eq!((seen.absent_nodes, seen.counted_apart), (0, false));
    drop(node);
    plane.sees("n", |view| !view.connected()).await;
    let seen = plane
        .fleet
        .consumption(&environment("default"), subscription_key(1), 0);
    assert_eq!((seen.figures[0].used, seen.open_sessions), (7, 0));
    plane.stop().await;
}

#[tokio::test]
async fn nodes_that_each_count_for_themselves_are_told_apart_from_those_that_share() {
    let plane = Plane::start().await;
    let is_apart = || {
        let fleet = &plane.fleet;
        let seen = fleet.consumption(&environment("default"), subscription_key(1), 0);
        seen.counted_apart
    };
    let beat = |kind: LedgerKind| {
        Message::Heartbeat(Heartbeat {
            ledger: Some(Ledger {
                kind: kind.into(),
                fault: String::new(),
            }),
            ..Heartbeat::default()
        })
    };
    let [a, b] = [plane.join("a", vec![]).await, plane.join("b", vec![]).await];
    for node in [&a, &b] {
        node.say(beat(LedgerKind::Redis)).await;
    }
    for name in ["a", "b"] {
        plane.sees(name, |view| view.ledger.is_some()).await;
    }
    assert!(!is_apart());
    b.say(beat(LedgerKind::InProcess)).await;
    let alone = |view: &NodeView| view.ledger.as_ref().is_some_and(|it| !it.shared);
    plane.sees("b", alone).await;
    assert!(is_apart());
    drop(a);
    plane.sees("a", |view| !view.connected()).await;
    assert!(!is_apart(), "one node has nobody to share with");
    plane.stop().await;
}

#[tokio::test]
async fn the_first_change_goes_at_once_and_those_that_follow_closely_are_folded() {
    let debounce = Duration::from_secs(1);
    let mut plane = Plane::with_debounce(debounce).await;
    let mut node = plane.join("n", vec![]).await;
    node.reach(plane.latest()).await;
    let started = Instant::now();
    plane.commit(|world| world.register(2));
    assert_eq!(node.reach(plane.latest()).await.upserts.len(), 2);
    assert!(started.elapsed() < debounce, "the first waited");
    for n in 3..13 {
        plane.commit(|world| world.register(n));
    }
    let folded = node.batch().await;
    assert_eq!((folded.number, folded.upserts.len()), (plane.latest(), 20));
    plane.stop().await;
}

#[tokio::test]
async fn what_a_node_rejects_is_seen_in_the_fleet_and_sent_again_only_when_it_changes() {
    let mut plane = Plane::start().await;
    let (mut bad, mut good) = (
        plane.join("bad", vec![]).await,
        plane.join("good", vec![]).await,
    );
    good.reach(plane.latest()).await;
    let first = bad.batch().await;
    let refused = first.upserts.iter().find(|it| it.name == subscription());
    let refused = refused.unwrap().clone();
    let rejection = Rejection {
        name: refused.name.clone(),
        version: refused.version,
        reason: "I do not like it".to_owned(),
        blocked_by: String::new(),
    };
    bad.ack(first.number, vec![rejection]).await;
    let view = plane.sees("bad", |view| !view.rejections.is_empty()).await;
    assert_eq!(view.rejections[0].resource, subscription());
    assert_eq!(view.rejections[0].version.get(), refused.version);
    assert_eq!(view.rejections[0].reason, "I do not like it");
    assert_eq!(plane.view("good").unwrap().rejections, vec![]);
    // Another change does not bring it back, a change of it does.
    plane.commit(|world| world.register(2));
    let other = bad.reach(plane.latest()).await;
    assert_eq!(other.upserts.len(), 2);
    assert!(!plane.view("bad").unwrap().rejections.is_empty());
    plane.commit(|world| world.change_subscription(1, |it| it.plan = plan_name("Silver")));
    let changed = bad.reach(plane.latest()).await;
    assert_eq!(names(&changed), [subscription()]);
    plane.sees("bad", |view| view.rejections.is_empty()).await;
    let latest = plane.latest();
    good.reach(latest).await;
    plane.sees("good", |view| view.number.get() == latest).await;
    plane.stop().await;
}

#[tokio::test]
async fn what_a_node_rejects_because_of_another_resource_is_sent_again_when_that_one_moves() {
    let mut plane = Plane::start().await;
    plane.commit(|world| {
        for n in 2..=4 {
            world.subscribe(n, n, 1, "Gold");
        }
    });
    let name = |n: u32| format!("subscriptions/{}", subscription_id(n));
    let mut node = plane.join("n", vec![]).await;
    let first = node.batch().await;
    let rejection = |batch: &Batch, n: u32, by: &str| {
        let refused = batch.upserts.iter().find(|it| it.name == name(n)).unwrap();
        Rejection {
            name: refused.name.clone(),
            version: refused.version,
            reason: "something is in the way".to_owned(),
            blocked_by: by.to_owned(),
        }
    };
    // The fourth waits for the third, which waits for the second.
    let rejections = vec![
        rejection(&first, 3, &name(2)),
        rejection(&first, 4, &name(3)),
    ];
    node.ack(first.number, rejections).await;
    plane.commit(|world| world.change_subscription(1, |it| it.plan = plan_name("Silver")));
    let other = node.reach(plane.latest()).await;
    assert_eq!(names(&other), [subscription()], "nothing of it has moved");
    plane.commit(|world| world.change_subscription(2, |it| it.plan = plan_name("Silver")));
    for n in 2..=4 {
        let batch = node.batch().await;
        assert_eq!(
            (names(&batch), batch.number),
            (vec![&*name(n)], plane.latest())
        );
        node.ack(batch.number, vec![]).await;
    }
    plane.sees("n", |view| view.rejections.is_empty()).await;
    plane.commit(|world| world.register(2));
    assert_eq!(node.reach(plane.latest()).await.upserts.len(), 2);
    // What is in the way of one may go altogether.
    plane.commit(|world| world.subscribe(5, 5, 1, "Gold"));
    let batch = node.batch().await;
    let refused = rejection(&batch, 5, &name(2));
    node.ack(batch.number, vec![refused]).await;
    plane.sees("n", |view| !view.rejections.is_empty()).await;
    plane.commit(|world| world.take(&ObjectKey::Subscription(subscription_id(2))));
    let batch = node.batch().await;
    assert_eq!((batch.upserts.len(), &*batch.removals), (0, &[name(2)][..]));
    node.ack(batch.number, vec![]).await;
    assert_eq!(names(&node.batch().await), [name(5)]);
    plane.stop().await;
}

#[tokio::test]
async fn a_large_configuration_comes_in_parts() {
    let mut plane = Plane::start().await;
    plane.commit(|world| {
        for n in 0..12_000 {
            world.subscribe(n + 100, n + 100, 1, "Gold");
        }
    });
    let mut node = plane.join("n", vec![]).await;
    let (mut parts, mut resources) = (0, 0);
    loop {
        let part = node.batch().await;
        assert_eq!(part.number, plane.latest());
        parts += 1;
        resources += part.upserts.len();
        if !part.more {
            break;
        }
    }
    assert_eq!(resources, 12_010);
    assert!(parts > 1, "{parts}");
    node.ack(plane.latest(), vec![]).await;
    plane.commit(|world| world.register(2));
    assert_eq!(node.reach(plane.latest()).await.upserts.len(), 2);
    plane.stop().await;
}

#[tokio::test]
async fn who_may_not_join_is_told_why() {
    let plane = Plane::start().await;
    let beat = word(Message::Heartbeat(Heartbeat::default()));
    for (token, first, code, text) in [
        (
            "wrong",
            hello("n", "default", vec![]),
            Code::Unauthenticated,
            "join token",
        ),
        (
            "",
            hello("n", "default", vec![]),
            Code::Unauthenticated,
            "join token",
        ),
        (
            "let-me-in",
            hello("n", "nowhere", vec![]),
            Code::NotFound,
            "`nowhere`",
        ),
        (
            "let-me-in",
            hello("n", "", vec![]),
            Code::NotFound,
            "environment",
        ),
        (
            "let-me-in",
            hello("", "default", vec![]),
            Code::InvalidArgument,
            "name",
        ),
        (
            "let-me-in",
            hello("a/b", "default", vec![]),
            Code::InvalidArgument,
            "name",
        ),
        ("let-me-in", beat, Code::InvalidArgument, "Hello"),
    ] {
        let status = plane.refusal(token, first).await;
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    }
    assert_eq!(plane.fleet.nodes(None), vec![]);
    plane.stop().await;
}

#[tokio::test]
async fn who_is_no_node_is_shown_out_and_nodes_stay() {
    let mut plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    node.reach(plane.latest()).await;
    let roots = Roots::Only(plane.authority.ca_pem.clone());
    let connector = TlsConnector::from(client_config(&roots, &["h2"]).unwrap());
    let address = plane.address.strip_prefix("https://").unwrap();
    // The beginning of HTTP/2 with empty settings; nothing at all.
    let settings = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for first in [&settings[..], b""] {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stranger = connector.connect(name, stream).await.unwrap();
        stranger.write_all(first).await.unwrap();
        let rest = timeout(PATIENCE, stranger.read_to_end(&mut Vec::new())).await;
        assert!(rest.is_ok(), "the door is held open for {first:?}");
    }
    // By now the node is here for longer than a stranger may be.
    plane.commit(|world| world.register(2));
    assert_eq!(node.reach(plane.latest()).await.upserts.len(), 2);
    plane.stop().await;
}

#[tokio::test]
async fn a_node_that_breaks_the_protocol_is_disconnected() {
    let plane = Plane::start().await;
    for nonsense in [
        Message::Ack(Ack {
            number: 999,
            rejections: vec![],
        }),
        Message::Hello(Hello::default()),
    ] {
        let mut node = plane.join("n", vec![]).await;
        node.batch().await;
        node.say(nonsense).await;
        let status = node.next().await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        plane.sees("n", |view| !view.connected()).await;
    }
    plane.stop().await;
}

#[tokio::test]
async fn a_node_of_an_environment_that_goes_is_told() {
    let mut plane = Plane::start().await;
    let first = hello("n", "other", vec![]);
    let mut node = plane.open("let-me-in", Some(first)).await.unwrap();
    node.reach(plane.latest()).await;
    plane.commit(|world| {
        world.take(&ObjectKey::Environment(environment("other")));
    });
    assert_eq!(node.next().await.unwrap_err().code(), Code::NotFound);
    plane.stop().await;
}

#[tokio::test]
async fn nodes_are_told_when_the_control_plane_stops() {
    let plane = Plane::start().await;
    let mut node = plane.join("n", vec![]).await;
    node.reach(plane.latest()).await;
    let tasks = plane.tasks.clone();
    let stopping = tokio::join!(tasks.shut_down(PATIENCE), node.next());
    assert_eq!(stopping.0, 0);
    assert_eq!(stopping.1.unwrap_err().code(), Code::Unavailable);
}
