//! The network between the tiers: their own routers behind real XML, with the delays, losses and cuts that the seed
//! gives. What a caller learns is what `wsdl/src/http/client.rs` would tell it: Unreachable only if nothing was sent.
//! A message that comes when its sender has long given it up is signed, and judged as a door judges it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::envelope::{self, Envelope, Limits, Outgoing};
use ironbark_wsdl::service::{BoxFuture, Incoming};
use ironbark_wsdl::wsse::{Expect, Identity, Profile, Security};
use ironbark_wsdl::{CallError, Context, Exchange, Fault, Moment, Reply, Router, Transport};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::chance::Dice;
use crate::log::note;

/// How long a connection over a cut wire is tried, as the tiers do.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

type Serve = Arc<dyn Fn(Incoming) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

/// How likely what befalls a call, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// It does not arrive, and its sender waits.
    pub lost: usize,
    /// It is carried out, and the answer does not arrive.
    pub unanswered: usize,
    /// It arrives twice.
    pub doubled: usize,
    /// It, and its answer, take seconds.
    pub slow: usize,
    /// Its sender hears nothing, and it arrives minutes later, whatever has happened since, perhaps for the second time.
    /// Only of messages that change something.
    pub late: usize,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Net>>);

struct Net {
    dice: Dice,
    weather: Weather,
    doors: BTreeMap<String, Door>,
    /// From where to where nothing passes.
    cuts: BTreeSet<(String, String)>,
    /// All hosts sign as this one.
    identity: Arc<Identity>,
    now: Duration,
    late: Vec<Late>,
}

#[derive(Clone)]
struct Door {
    runtime: Handle,
    serve: Serve,
    /// It remembers what was there before, as long as its program lives.
    security: Arc<Security>,
}

/// A message on its way that nobody waits for.
struct Late {
    at: Duration,
    to: String,
    /// What it is, for the log.
    way: String,
    signed: String,
}

/// What befalls one call.
#[derive(Debug, Default)]
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    unanswered: bool,
    doubled: bool,
    /// Its handler is dropped when the caller has gone, as hyper does when it notices.
    noticed: bool,
    /// Its connection was there before the wire was cut.
    kept: bool,
    /// It arrives after so long.
    late: Option<Duration>,
    /// And in time, too.
    twice: bool,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let net = Net {
            dice: Dice::of(seed, "network"),
            weather: Weather::default(),
            doors: BTreeMap::new(),
            cuts: BTreeSet::new(),
            identity: Arc::new(Identity::generate("simulation").expect("a key")),
            now: Duration::ZERO,
            late: Vec::new(),
        };
        Self(Arc::new(Mutex::new(net)))
    }

    fn lock(&self) -> MutexGuard<'_, Net> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What calls meet from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// A host serves from now on, on the runtime that this is called on.
    pub fn open<S: Send + Sync + 'static>(&self, host: &str, router: Router<S>) {
        let router = Arc::new(router);
        let serve: Serve = Arc::new(move |incoming| {
            let router = router.clone();
            Box::pin(async move { router.serve(incoming).await.map(|served| served.reply) })
        });
        let mut net = self.lock();
        let security = Security::new(net.identity.clone(), Profile::Strict, Clock::system());
        security.trust(vec![net.identity.certificate().clone()]);
        let door = Door { runtime: Handle::current(), serve, security: Arc::new(security) };
        net.doors.insert(host.to_string(), door);
    }

    /// A host does not serve any more.
    pub fn close(&self, host: &str) {
        let door = self.lock().doors.remove(host);
        drop(door);
    }

    /// From one host to another nothing passes, or everything again.
    pub fn cut(&self, from: &str, to: &str, cut: bool) {
        let (mut net, way) = (self.lock(), (from.to_string(), to.to_string()));
        if cut {
            net.cuts.insert(way);
        } else {
            net.cuts.remove(&way);
        }
    }

    /// Everything passes everywhere.
    pub fn join_all(&self) {
        self.lock().cuts.clear();
    }

    /// It is so late; hands in what arrives.
    pub fn deliver(&self, now: Duration) {
        let mut net = self.lock();
        net.now = now;
        let (due, later) = std::mem::take(&mut net.late).into_iter().partition::<Vec<_>, _>(|late| late.at <= now);
        net.late = later;
        let due: Vec<_> = due.into_iter().map(|late| (net.doors.get(&late.to).cloned(), late)).collect();
        drop(net);
        for (door, late) in due {
            match door {
                Some(door) => note!("{}, late: {}", late.way, door.hand_in(&late.signed)),
                None => note!("{}, late: nobody is there", late.way),
            }
        }
    }

    /// Whether no message is on its way that nobody waits for.
    pub fn is_quiet(&self) -> bool {
        self.lock().late.is_empty()
    }

    /// The way from one host to another.
    pub fn wire(&self, from: &str, to: &str) -> Arc<dyn Transport> {
        Arc::new(Wire { network: self.clone(), from: from.to_string(), to: to.to_string() })
    }

    /// How long a message takes.
    pub fn delay(&self) -> Duration {
        self.lock().delay()
    }
}

impl Net {
    fn delay(&mut self) -> Duration {
        let slow = self.dice.chance(self.weather.slow);
        if slow { self.dice.ms(500..9000) } else { self.dice.ms(1..30) }
    }

    fn fate(&mut self, operation: &str) -> Fate {
        let weather = self.weather;
        let asks = operation.trim_start_matches("nc").starts_with("Describe");
        Fate {
            there: self.delay(),
            back: self.delay(),
            lost: self.dice.chance(weather.lost),
            unanswered: self.dice.chance(weather.unanswered),
            doubled: self.dice.chance(weather.doubled),
            noticed: self.dice.chance(500),
            kept: self.dice.chance(500),
            // Some too late to be believed: a signature holds for five minutes.
            late: (!asks && self.dice.chance(weather.late)).then(|| self.dice.ms(20_000..360_000)),
            twice: self.dice.chance(500),
        }
    }
}

impl Door {
    /// Hands a request in; its answer comes, or the door closes.
    fn serve(&self, incoming: Incoming, fate: &Fate) -> oneshot::Receiver<Result<Reply, Fault>> {
        let (mut answer, heard) = oneshot::channel();
        let (work, back, noticed) = ((self.serve)(incoming), fate.back, fate.noticed);
        self.runtime.spawn(async move {
            let result = tokio::select! {
                biased;
                result = work => result,
                () = answer.closed(), if noticed => return,
            };
            sleep(back).await;
            // Nobody waits any more: an answer that comes too late.
            drop(answer.send(result));
        });
        heard
    }

    /// Hands in a message that nobody waits for, if the door believes it; what the door says.
    fn hand_in(&self, signed: &str) -> String {
        let read = envelope::read(signed.as_bytes(), &Limits::request()).expect("as our own code wrote it");
        if let Err(refusal) = self.security.verify(&read, Expect::Request) {
            return refusal.to_string();
        }
        let Envelope { body_name, body, message_id, epochs, .. } = read;
        let (namespace, operation, received) = (body_name.namespace, body_name.local, Moment::now());
        let incoming = Incoming { namespace, operation, body, message_id, epochs, received };
        drop(self.serve(incoming, &Fate::default()));
        "believed".to_string()
    }
}

struct Wire {
    network: Network,
    from: String,
    to: String,
}

impl Wire {
    fn is_cut(&self) -> bool {
        self.network.lock().cuts.contains(&(self.from.clone(), self.to.clone()))
    }

    fn is_cut_back(&self) -> bool {
        self.network.lock().cuts.contains(&(self.to.clone(), self.from.clone()))
    }

    fn door(&self) -> Option<Door> {
        self.network.lock().doors.get(&self.to).cloned()
    }

    async fn carry(&self, exchange: &Exchange) -> Result<Reply, CallError> {
        let unreachable = |why: &str| CallError::Unreachable { reason: format!("{}: {why}", self.to) };
        let fate = self.network.lock().fate(exchange.operation);
        if (self.is_cut() || self.is_cut_back()) && !fate.kept {
            sleep(CONNECT_WAIT).await;
            return Err(unreachable("connection timed out"));
        }
        if self.door().is_none() {
            return Err(unreachable("connection refused"));
        }
        if let Some(after) = fate.late {
            return self.put_off(exchange, &fate, after).await;
        }
        sleep(fate.there).await;
        if fate.lost || self.is_cut() {
            pending::<()>().await;
        }
        let broken = || CallError::TimedOut { after: Duration::ZERO, reason: format!("{}: connection reset", self.to) };
        let door = self.door().ok_or_else(broken)?;
        let incoming = Incoming {
            namespace: exchange.service.namespace().to_string(),
            operation: exchange.operation.to_string(),
            body: exchange.body.clone(),
            message_id: Some(exchange.message_id.clone()),
            epochs: exchange.epochs.clone(),
            received: Moment::now(),
        };
        let answer = door.serve(incoming.clone(), &fate);
        if fate.doubled {
            drop(door.serve(incoming, &Fate { noticed: false, ..fate }));
        }
        drop(door);
        let result = answer.await.map_err(|_| broken())?;
        if fate.unanswered || self.is_cut_back() {
            pending::<()>().await;
        }
        Ok(result?)
    }

    /// Has a message arrive late, perhaps for the second time; its sender hears nothing of either.
    async fn put_off(&self, exchange: &Exchange, fate: &Fate, after: Duration) -> Result<Reply, CallError> {
        let action = exchange.service.action(exchange.operation);
        let epochs = (!exchange.epochs.is_empty()).then(|| exchange.epochs.to_string());
        let signed = {
            let mut net = self.network.lock();
            let security = Security::new(net.identity.clone(), Profile::Strict, Clock::system());
            let message = Outgoing {
                to: Some(&self.to),
                action: Some(&action),
                message_id: Some(&exchange.message_id),
                epochs: epochs.as_deref(),
                body: &exchange.body,
                ..Outgoing::default()
            };
            let signed = envelope::write(&message, Some(&security.signer())).expect("as our own code writes it");
            let way = format!("{}>{} {}", self.from, self.to, exchange.operation);
            let late = Late { at: net.now + after, to: self.to.clone(), way, signed: signed.clone() };
            net.late.push(late);
            signed
        };
        sleep(fate.there).await;
        if fate.twice
            && !self.is_cut()
            && let Some(door) = self.door()
        {
            note!("{}>{} {}, in time: {}", self.from, self.to, exchange.operation, door.hand_in(&signed));
        }
        pending().await
    }
}

impl Transport for Wire {
    fn send<'a>(&'a self, ctx: &'a Context, exchange: Exchange) -> BoxFuture<'a, Result<Reply, CallError>> {
        Box::pin(async move {
            let (budget, way) = (ctx.remaining(), format!("{}>{} {}", self.from, self.to, exchange.operation));
            note!("{way} {} bytes", exchange.body.len());
            let result = timeout(budget, self.carry(&exchange)).await.unwrap_or_else(|_| {
                Err(CallError::TimedOut { after: budget, reason: format!("{} gave no answer", self.to) })
            });
            match &result {
                Ok(reply) => note!("{way}: {} bytes, {:?}", reply.body.len(), reply.reason),
                Err(error) => note!("{way}: {error}"),
            }
            result
        })
    }
}
