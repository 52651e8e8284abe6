//! The network between the tiers: their own routers behind real XML, with the delays, losses and cuts that the seed
//! gives. What a caller learns is what `wsdl/src/http/client.rs` would tell it: Unreachable only if nothing was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ironbark_wsdl::service::{BoxFuture, Incoming};
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
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Net>>);

struct Net {
    dice: Dice,
    weather: Weather,
    doors: BTreeMap<String, Door>,
    cuts: BTreeSet<(String, String)>,
}

#[derive(Clone)]
struct Door {
    runtime: Handle,
    serve: Serve,
}

/// What befalls one call.
#[derive(Debug)]
struct Fate {
    there: Duration,
    back: Duration,
    lost: bool,
    unanswered: bool,
    doubled: bool,
    /// Its handler is dropped when the caller has gone, as hyper does when it notices.
    noticed: bool,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let (dice, weather) = (Dice::of(seed, "network"), Weather::default());
        Self(Arc::new(Mutex::new(Net { dice, weather, doors: BTreeMap::new(), cuts: BTreeSet::new() })))
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
        self.lock().doors.insert(host.to_string(), Door { runtime: Handle::current(), serve });
    }

    /// A host does not serve any more.
    pub fn close(&self, host: &str) {
        let door = self.lock().doors.remove(host);
        drop(door);
    }

    /// Nothing passes between two hosts, or everything again.
    pub fn cut(&self, one: &str, other: &str, cut: bool) {
        let mut net = self.lock();
        for ends in [(one.to_string(), other.to_string()), (other.to_string(), one.to_string())] {
            if cut {
                net.cuts.insert(ends);
            } else {
                net.cuts.remove(&ends);
            }
        }
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

    fn fate(&mut self) -> Fate {
        let weather = self.weather;
        Fate {
            there: self.delay(),
            back: self.delay(),
            lost: self.dice.chance(weather.lost),
            unanswered: self.dice.chance(weather.unanswered),
            doubled: self.dice.chance(weather.doubled),
            noticed: self.dice.chance(500),
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

    fn door(&self) -> Option<Door> {
        self.network.lock().doors.get(&self.to).cloned()
    }

    async fn carry(&self, exchange: &Exchange) -> Result<Reply, CallError> {
        let unreachable = |why: &str| CallError::Unreachable { reason: format!("{}: {why}", self.to) };
        let fate = self.network.lock().fate();
        if self.is_cut() {
            sleep(CONNECT_WAIT).await;
            return Err(unreachable("connection timed out"));
        }
        if self.door().is_none() {
            return Err(unreachable("connection refused"));
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
        if fate.unanswered || self.is_cut() {
            pending::<()>().await;
        }
        Ok(result?)
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
