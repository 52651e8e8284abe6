//! The latest log lines of this process that belong to a request, in a ring bounded in bytes: what
//! `DescribeLogs` answers from. A line belongs to the request of its field `req`, or of the
//! innermost span that has one, and also to the one that its field `cause` names.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::trace::now_micros;

/// Bytes of all lines together.
const RING: usize = 4 << 20;
/// What a line costs beside its texts.
const OVERHEAD: usize = 100;
/// Lines given out of one request: the latest.
const MOST: usize = 500;

/// There is one log in a process, and so one ring.
static LINES: Mutex<Ring> = Mutex::new(Ring { lines: VecDeque::new(), bytes: 0 });

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The request it belongs to.
    pub request_id: String,
    /// The work that led to it, where that has an id of its own.
    pub cause: Option<String>,
    /// When, microseconds since the Unix epoch.
    pub at: i64,
    /// `INFO`, `WARN`, ...
    pub level: &'static str,
    /// The event's stable name.
    pub event: String,
    /// The other fields, the spans' first, as `name=value`, and the message.
    pub text: String,
}

impl Line {
    fn cost(&self) -> usize {
        let cause = self.cause.as_ref().map_or(0, String::len);
        OVERHEAD + self.request_id.len() + cause + self.event.len() + self.text.len()
    }

    fn belongs_to(&self, request_id: &str) -> bool {
        self.request_id == request_id || self.cause.as_deref() == Some(request_id)
    }
}

#[derive(Debug)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: usize,
}

impl Ring {
    /// Keeps a line; the oldest go.
    fn keep(&mut self, line: Line) {
        self.bytes += line.cost();
        self.lines.push_back(line);
        while self.bytes > RING {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.cost();
        }
    }

    fn of(&self, request_id: &str) -> Vec<Line> {
        let mut found: Vec<Line> =
            self.lines.iter().rev().filter(|line| line.belongs_to(request_id)).take(MOST).cloned().collect();
        found.reverse();
        found
    }
}

/// The lines of a request that this process still has, oldest first; the latest 500.
pub fn lines_of(request_id: &str) -> Vec<Line> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).of(request_id)
}

/// The layer that keeps lines, beside the one that writes them.
pub(super) struct Keep;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let mut all = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                all.add(fields);
            }
        }
        all.add(&own);
        // `-` stands for work that no request asked for.
        let Some(request_id) = all.req.filter(|id| id != "-") else { return };
        let line = Line {
            request_id,
            cause: all.cause,
            at: now_micros(),
            level: event.metadata().level().as_str(),
            event: own.event,
            text: all.text,
        };
        LINES.lock().unwrap_or_else(PoisonError::into_inner).keep(line);
    }
}

/// The fields of a span or an event, as text.
#[derive(Default)]
struct Fields {
    req: Option<String>,
    cause: Option<String>,
    event: String,
    text: String,
}

impl Fields {
    /// Adds those of something further inside.
    fn add(&mut self, inner: &Fields) {
        self.req = inner.req.clone().or_else(|| self.req.take());
        self.cause = inner.cause.clone().or_else(|| self.cause.take());
        if !self.text.is_empty() && !inner.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(&inner.text);
    }

    fn take(&mut self, name: &str, value: String) {
        // A line is one line, whoever's words are in it.
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        match name {
            "req" => self.req = Some(value),
            "cause" => self.cause = Some(value),
            "event" => self.event = value,
            _ => {
                let gap = if self.text.is_empty() { "" } else { " " };
                let written = match name {
                    "message" => write!(self.text, "{gap}{value}"),
                    name => write!(self.text, "{gap}{name}={value}"),
                };
                written.expect("writing to a String cannot fail");
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn a_line_belongs_to_the_innermost_request_and_to_its_cause() {
        let subscriber = tracing_subscriber::registry().with(Keep);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", req = "kept-1", user = tracing::field::Empty);
            span.record("user", "alice/bob");
            span.in_scope(|| {
                tracing::info!(event = "kept.first", ms = 3, "a\nb");
                tracing::warn!(event = "kept.other", req = %"kept-2", cause = "kept-3");
            });
            tracing::info!(event = "kept.none", req = "-", "nobody's");
        });
        let lines = lines_of("kept-1");
        assert_eq!((lines.len(), lines[0].event.as_str()), (1, "kept.first"));
        assert_eq!(lines[0].text, "user=alice/bob a b ms=3");
        assert_eq!(lines_of("kept-2"), lines_of("kept-3"));
        assert_eq!(lines_of("kept-2").len(), 1);
        assert!(lines_of("-").is_empty());
    }

    #[test]
    fn the_ring_is_bounded_in_bytes() {
        let mut ring = Ring { lines: VecDeque::new(), bytes: 0 };
        let line = |number: usize| Line {
            request_id: format!("r{number}"),
            cause: None,
            at: 0,
            level: "INFO",
            event: "e".into(),
            text: "x".repeat(1000),
        };
        for number in 0..10_000 {
            ring.keep(line(number));
            assert!(ring.bytes <= RING);
        }
        assert_eq!(ring.bytes, ring.lines.iter().map(Line::cost).sum::<usize>());
        assert!(ring.of("r9999").len() == 1 && ring.of("r0").is_empty());
    }
}
