//! Answered requests on their way to the records: written in batches, off the way of the requests themselves.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::AnsweredRequest;

/// Most requests that wait to be written; beyond it, while the disk is full, the oldest are lost.
const WAITING: usize = 10_000;

/// Answered requests on their way to the records.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    waiting: Mutex<Vec<AnsweredRequest>>,
    rung: Notify,
}

impl RequestLog {
    /// Takes one to be written soon.
    pub(crate) fn note(&self, request: AnsweredRequest) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() == WAITING {
            waiting.remove(0);
        }
        waiting.push(request);
        self.rung.notify_one();
    }

    /// The account that made a request that is not written yet.
    pub(super) fn requester(&self, id: &str) -> Option<String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().find(|request| request.id == id).map(|request| request.account.clone())
    }

    /// Those not written yet that are part of what an administrator gave that id.
    pub(super) fn requests_of(&self, global: &str) -> Vec<String> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let part = |request: &&AnsweredRequest| request.global.as_deref() == Some(global);
        waiting.iter().filter(part).map(|request| request.id.clone()).collect()
    }

    /// Waits until one is taken.
    pub(super) async fn rung(&self) {
        self.rung.notified().await;
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> Vec<AnsweredRequest> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// These wait no longer.
    pub(super) fn written(&self, ids: &HashSet<String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|request| !ids.contains(&request.id));
    }
}
