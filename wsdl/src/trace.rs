//! The timed trace of a request: each tier keeps its spans in a ring and gives them out when the
//! tier above asks (`DescribeTrace`). It knows nothing of what the spans are about.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Spans kept per tier; at some 300 bytes each this is about 12 MB.
const RING: usize = 40_000;

/// One named, timed piece of a request in one tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The request it belongs to.
    pub request_id: String,
    /// Its own id; a call's span bears the call's wsa:MessageID.
    pub id: String,
    /// The span it is part of, perhaps in the tier above.
    pub parent: Option<String>,
    /// Which tier: `clc`, `cc:NAME`, `nc:NAME`.
    pub tier: String,
    /// What is done; a stable, documented name.
    pub name: String,
    /// To what: an instance, a node.
    pub detail: Option<String>,
    /// When it began, in microseconds since the Unix epoch, by this machine's clock.
    pub start: i64,
    /// How long it took, in microseconds, by the monotonic clock.
    pub duration: i64,
    /// `ok`, or how it failed.
    pub outcome: String,
}

/// Where one tier keeps the spans of its latest requests.
#[derive(Debug)]
pub struct Recorder {
    tier: String,
    /// Keeps nothing.
    silent: bool,
    spans: Mutex<Spans>,
}

#[derive(Debug, Default)]
struct Spans {
    /// What has begun and not ended, by its id.
    open: HashMap<String, Span>,
    /// What has ended, oldest first.
    ended: VecDeque<Span>,
}

impl Recorder {
    /// A recorder for the tier of that name.
    pub fn new(tier: impl Into<String>) -> Self {
        Self { tier: tier.into(), silent: false, spans: Mutex::default() }
    }

    /// A recorder that keeps nothing: for what is asked every few seconds, which would push users'
    /// requests out of the ring.
    pub fn silent(tier: impl Into<String>) -> Self {
        Self { tier: tier.into(), silent: true, spans: Mutex::default() }
    }

    /// The tier's name.
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// Which of the tiers it is, `cc` of `cc:cluster1`: how the names of its spans begin.
    pub fn kind(&self) -> &str {
        self.tier.split(':').next().unwrap_or_default()
    }

    /// Notes that a span has begun, so that a request can be looked at while it runs.
    pub fn begin(&self, span: Span) {
        if !self.silent {
            self.spans().open.insert(span.id.clone(), span);
        }
    }

    /// Keeps a span that has ended; the oldest goes when the ring is full.
    pub fn record(&self, span: Span) {
        if self.silent {
            return;
        }
        let mut spans = self.spans();
        spans.open.remove(&span.id);
        if spans.ended.len() == RING {
            spans.ended.pop_front();
        }
        spans.ended.push_back(span);
    }

    /// The spans of one request: those that ended, in that order, then those still open, with the
    /// time so far and the outcome `in progress`.
    pub fn of(&self, request_id: &str) -> Vec<Span> {
        let spans = self.spans();
        let now = now_micros();
        let mut found: Vec<Span> = spans.ended.iter().filter(|span| span.request_id == request_id).cloned().collect();
        found.extend(spans.open.values().filter(|span| span.request_id == request_id).map(|span| {
            let duration = now.saturating_sub(span.start);
            Span { duration, outcome: "in progress".to_string(), ..span.clone() }
        }));
        found
    }

    fn spans(&self) -> MutexGuard<'_, Spans> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment by both clocks: when, and what durations are measured from.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub(crate) micros: i64,
    pub(crate) instant: Instant,
}

impl Moment {
    /// The present one.
    pub fn now() -> Self {
        Self { micros: now_micros(), instant: Instant::now() }
    }
}

/// The present moment in microseconds since the Unix epoch.
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
