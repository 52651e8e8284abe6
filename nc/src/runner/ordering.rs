//! The order of the operations on the runner's instance: asked of the record, and written into it. What it
//! means is in `operation`.

use ironbark_wsdl::{Context, Refusal};

use super::Runner;
use crate::lifecycle::Request;
use crate::operation::{self, Accepted, Operation, Order};
use crate::state::Record;

impl Runner {
    /// What a request is among the instance's operations.
    pub(super) fn order(&self, request: Request, ctx: &Context) -> Order<'_> {
        let epoch = ctx.epochs.of(self.id.as_str());
        operation::order(self.record.operation.as_ref(), epoch, ctx.request.as_str(), request, &self.record.state)
    }

    /// What is said of a request that comes too late.
    pub(super) fn overtaken(&self, ctx: &Context, than: i64) -> Refusal {
        tracing::info!(event = "nc.request.overtaken", instance = %self.id, req = %ctx.request, "it came too late");
        Refusal::new(format!(
            "{}: nothing was done, since a later operation (epoch {than}) has come before it",
            self.id
        ))
    }

    /// Writes down the operation that was accepted. An end that is older than what came last leaves that, and so does a
    /// repetition of what is on its way.
    pub(super) fn note_operation(&self, next: &mut Record, request: Request, ctx: &Context, answer: &Accepted) {
        let Some(epoch) = ctx.epochs.of(self.id.as_str()) else { return };
        let begins = answer.before != answer.after;
        let is_noted = |last: &Operation| last.epoch == epoch && last.id == ctx.request.as_str() && !begins;
        if next.operation.as_ref().is_some_and(|last| last.epoch > epoch || is_noted(last)) {
            return;
        }
        let (id, answer) = (ctx.request.to_string(), answer.clone());
        let mut operation = Operation { epoch, id, asked: request, answer, done: false };
        // What was so already is reached at once.
        operation.done = operation.is_reached(&next.state, &[]);
        next.operation = Some(operation);
    }
}
