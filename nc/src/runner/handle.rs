//! The way to a runner: what it can be told, and what it answers. Nothing is decided here.

use std::net::Ipv4Addr;
use std::sync::Arc;

use ironbark_wsdl::{Context, Refusal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::hypervisor::{Change, DomainSeen};
use crate::lifecycle::Request;
use crate::operation::Accepted;
use crate::state::{Record, Resized};
use crate::volumes::Plug;

/// The way to a runner, and what it last published.
#[derive(Clone)]
pub struct Handle {
    pub(super) inbox: mpsc::Sender<Message>,
    pub(super) record: watch::Receiver<Arc<Record>>,
    pub(super) task: AbortHandle,
}

/// What a runner is told.
pub enum Message {
    /// A user wants something.
    Ask {
        /// What.
        request: Request,
        /// On whose behalf, in which request.
        ctx: Context,
        /// Where the answer goes, once the record is durable.
        answer: oneshot::Sender<Result<Accepted, Refusal>>,
    },
    /// A user wants it to have another size, if it is stopped.
    Resize {
        /// Which.
        resized: Resized,
        /// In which request.
        ctx: Context,
        /// Where the answer goes, once the record is durable.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// A user wants a disk in or out.
    Volume {
        /// Which.
        ask: VolumeAsk,
        /// In which request.
        ctx: Context,
        /// Where the answer goes, once it is done.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// The inventory, as far as it is about this instance's domain; `None` when it is not in it.
    Seen {
        /// The domain.
        domain: Option<DomainSeen>,
        /// When the inventory was asked for.
        asked: Instant,
    },
    /// The hypervisor told of this domain.
    Happened(Change),
    /// Its address became known.
    Learnt {
        /// The address.
        ip: Ipv4Addr,
        /// Whether its DHCP server said so just now. The kernel's memory may be older than what is known, and only fills
        /// what is not.
        fresh: bool,
    },
}

/// What is wanted of a disk.
#[derive(Clone, Debug)]
pub enum VolumeAsk {
    /// Plug it in.
    Attach(Plug),
    /// Take it out.
    Detach {
        /// The volume.
        volume_id: String,
        /// Where it must come from; empty = wherever.
        source: String,
    },
}

impl Handle {
    /// What is known of the instance.
    pub fn record(&self) -> Arc<Record> {
        self.record.borrow().clone()
    }

    /// The records to come; the first is the present one.
    pub fn watch(&self) -> watch::Receiver<Arc<Record>> {
        self.record.clone()
    }

    /// Asks something of the instance and waits for the runner's word, until the context's deadline.
    ///
    /// # Errors
    /// The reason, when it is refused or no word came in time.
    pub async fn ask(&self, ctx: &Context, request: Request) -> Result<Accepted, Refusal> {
        let (answer, word) = oneshot::channel();
        self.hear(ctx, Message::Ask { request, ctx: ctx.clone(), answer }, word).await
    }

    /// Gives a stopped instance another size, until the context's deadline; one that is not stopped
    /// keeps what it has.
    ///
    /// # Errors
    /// The reason, when it cannot be written down or no word came in time.
    pub async fn resize(&self, ctx: &Context, resized: Resized) -> Result<(), Refusal> {
        let (answer, word) = oneshot::channel();
        self.hear(ctx, Message::Resize { resized, ctx: ctx.clone(), answer }, word).await
    }

    /// Asks for a disk in or out and waits until it is done, until the context's deadline.
    ///
    /// # Errors
    /// The reason, when it is refused or failed, or no word came in time.
    pub async fn volume(&self, ctx: &Context, ask: VolumeAsk) -> Result<(), Refusal> {
        let (answer, word) = oneshot::channel();
        self.hear(ctx, Message::Volume { ask, ctx: ctx.clone(), answer }, word).await
    }

    async fn hear<T>(
        &self,
        ctx: &Context,
        message: Message,
        word: oneshot::Receiver<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let id = self.record().id.clone();
        let budget = ctx.remaining();
        let heard = async {
            self.inbox.send(message).await.ok()?;
            word.await.ok()
        };
        match tokio::time::timeout(budget, heard).await {
            Ok(Some(result)) => result,
            Ok(None) => Err(Refusal::new(format!("{id} is no longer kept by this node"))),
            Err(_) => Err(Refusal::new(format!(
                "{id}: no word within {budget:?}; the outcome is unknown: describe the instance"
            ))),
        }
    }

    /// Tells the runner something that will be told again: dropped when it is far behind.
    pub fn tell(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.inbox.try_send(message) {
            tracing::warn!(event = "nc.instance.behind", instance = %self.record().id);
        }
    }

    /// Ends the runner where it stands, as the end of the process would.
    pub fn abort(&self) {
        self.task.abort();
    }
}
