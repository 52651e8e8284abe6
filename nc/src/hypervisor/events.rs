//! libvirt's event loop and callbacks, made safe: the only file with `unsafe` in this crate's hypervisor.
//! Owns the loop's thread and the callbacks' memory; must not know what the events are used for.
//!
//! A callback runs on the loop's thread. It copies what it is given and hands it to a sink; it never calls libvirt
//! over the wire, because the answer would have to come through the very loop it stands on.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, OnceLock};
use std::thread;

use uuid::Uuid;
use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt_sys as sys;

use super::{Change, DomainKey, OffReason};

/// What a callback heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Domain(DomainKey, Change),
    /// The connection is gone; the text says how.
    Closed(&'static str),
}

/// Where callbacks put what they heard. Called on the loop's thread: must neither block nor panic.
pub type Sink = Box<dyn Fn(Heard) + Send + Sync>;

/// Starts the event loop of this process, once. Must precede the first connection (libvirt's rule; the embedded
/// driver hangs without it). The loop runs as long as the process.
pub fn start_loop() -> Result<(), Error> {
    static STARTED: OnceLock<Result<(), Error>> = OnceLock::new();
    STARTED
        .get_or_init(|| {
            // libvirt prints each error to standard error by default; ours are returned and logged once.
            virt::error::clear_error_callback();
            virt::event::event_register_default_impl()?;
            let run = || {
                loop {
                    if let Err(error) = virt::event::event_run_default_impl() {
                        tracing::error!(event = "nc.libvirt.events", %error, "libvirt's event loop");
                    }
                }
            };
            thread::Builder::new().name("virt-events".into()).spawn(run).expect("the system has threads left at start");
            Ok(())
        })
        .clone()
}

/// Callbacks registered on one connection; dropping it takes them back. Holds the connection open until then.
pub struct Subscription {
    connect: Connect,
    callbacks: Vec<c_int>,
}

type Callback = sys::virConnectDomainEventGenericCallback;

impl Subscription {
    /// Registers for all events we know. A driver that lacks one of them (the test driver lacks several) is not an
    /// error: events are hints. Blocks as any call does.
    /// Without `domains` only the end of the connection is heard.
    pub fn new(connect: &Connect, domains: bool, sink: Sink) -> Subscription {
        let sink = Arc::new(sink);
        let mut subscription = Subscription { connect: connect.clone(), callbacks: Vec::new() };
        let wanted = callbacks().into_iter().filter(|_| domains);
        for (event, callback) in wanted {
            subscription.register(event, callback, sink.clone());
        }
        subscription.register_close(sink);
        subscription
    }

    fn register(&mut self, event: sys::virDomainEventID, callback: Callback, sink: Arc<Sink>) {
        let opaque = Arc::into_raw(sink) as *mut c_void;
        // SAFETY: the connection is open (we hold a reference). `callback` has the signature that libvirt documents
        // for `event` (see `callbacks`). `opaque` is one strong count of the sink: libvirt gives it back through
        // `free_sink`, exactly once, when the callback is deregistered and no longer runs.
        let id = unsafe {
            sys::virConnectDomainEventRegisterAny(
                self.connect.as_ptr(),
                std::ptr::null_mut(), // all domains
                event as c_int,
                callback,
                opaque,
                Some(free_sink),
            )
        };
        if id >= 0 {
            self.callbacks.push(id);
        } else {
            tracing::debug!(event = "nc.libvirt.mute", kind = event, error = %Error::last_error(), "it does not tell of this");
            // SAFETY: registration failed, so libvirt has not taken the count over and `free_sink` is never called.
            unsafe { free_sink(opaque) };
        }
    }

    fn register_close(&mut self, sink: Arc<Sink>) {
        let opaque = Arc::into_raw(sink) as *mut c_void;
        // SAFETY: as in `register`; libvirt calls `free_sink` when the callback is unregistered or the connection freed.
        let result = unsafe {
            sys::virConnectRegisterCloseCallback(self.connect.as_ptr(), Some(on_close), opaque, Some(free_sink))
        };
        if result < 0 {
            // SAFETY: as in `register`.
            unsafe { free_sink(opaque) };
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Errors are of no use here: on a dead connection libvirt drops its own side of the callback and then fails
        // to tell the daemon, which is what we want.
        // SAFETY: the connection is still referenced by `self.connect`, the ids are those it gave us, and `on_close` is
        // the callback that was registered.
        unsafe {
            for id in &self.callbacks {
                sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), *id);
            }
            sys::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(on_close));
        }
        // `Connect` has no Drop of its own: a clone is a reference that is given back by `close`.
        if let Err(error) = self.connect.close() {
            tracing::debug!(event = "nc.libvirt.close", %error, "closing a connection");
        }
    }
}

/// Whether the hypervisor's control channel to a running domain is ready for calls. `false` while libvirt, just
/// started, is still reconnecting to QEMU: a `destroy` in that moment was seen to answer "Domain not found" though it
/// destroyed. `true` also when it is broken, since waiting does not mend it.
pub fn control_ready(domain: &Domain) -> bool {
    let mut info = sys::virDomainControlInfo { state: 0, details: 0, stateTime: 0 };
    // SAFETY: `domain` is a live handle and `info` outlives the call, which only writes its fields.
    let result = unsafe { sys::virDomainGetControlInfo(domain.as_ptr(), &mut info, 0) };
    let busy = info.state == sys::VIR_DOMAIN_CONTROL_JOB || info.state == sys::VIR_DOMAIN_CONTROL_OCCUPIED;
    result < 0 || !busy
}

/// Each event with its callback, all cast to the generic type as libvirt's own VIR_DOMAIN_EVENT_CALLBACK() does in C.
fn callbacks() -> [(sys::virDomainEventID, Callback); 7] {
    // SAFETY: only the pointers' type changes. libvirt calls each pointer with the arguments documented for the event
    // it is registered for, and each function below has exactly that signature.
    unsafe {
        use std::mem::transmute;
        let lifecycle: sys::virConnectDomainEventCallback = Some(on_lifecycle);
        let io_error: sys::virConnectDomainEventIOErrorCallback = Some(on_io_error);
        let added: sys::virConnectDomainEventDeviceAddedCallback = Some(on_device_added);
        let removed: sys::virConnectDomainEventDeviceRemovedCallback = Some(on_device_removed);
        let kept: sys::virConnectDomainEventDeviceRemovalFailedCallback = Some(on_removal_failed);
        [
            (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, transmute::<sys::virConnectDomainEventCallback, Callback>(lifecycle)),
            (sys::VIR_DOMAIN_EVENT_ID_REBOOT, Some(on_reboot)),
            (sys::VIR_DOMAIN_EVENT_ID_CONTROL_ERROR, Some(on_control_error)),
            (
                sys::VIR_DOMAIN_EVENT_ID_IO_ERROR,
                transmute::<sys::virConnectDomainEventIOErrorCallback, Callback>(io_error),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED,
                transmute::<sys::virConnectDomainEventDeviceAddedCallback, Callback>(added),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                transmute::<sys::virConnectDomainEventDeviceRemovedCallback, Callback>(removed),
            ),
            (
                sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
                transmute::<sys::virConnectDomainEventDeviceRemovalFailedCallback, Callback>(kept),
            ),
        ]
    }
}

/// What a lifecycle event means to us. The numbers are libvirt's virDomainEventType and its details; numbers newer than
/// we know are taken as "something changed".
fn lifecycle_change(event: c_int, detail: c_int) -> Change {
    match event as sys::virDomainEventType {
        sys::VIR_DOMAIN_EVENT_STARTED => Change::Started,
        sys::VIR_DOMAIN_EVENT_SUSPENDED | sys::VIR_DOMAIN_EVENT_PMSUSPENDED => Change::Paused,
        sys::VIR_DOMAIN_EVENT_RESUMED => Change::Resumed,
        sys::VIR_DOMAIN_EVENT_STOPPED => Change::Stopped(stop_reason(detail)),
        sys::VIR_DOMAIN_EVENT_SHUTDOWN => Change::ShuttingDown,
        sys::VIR_DOMAIN_EVENT_CRASHED => Change::Crashed,
        _ => Change::Redefined,
    }
}

fn stop_reason(detail: c_int) -> OffReason {
    match detail as sys::virDomainEventStoppedDetailType {
        sys::VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN => OffReason::Shutdown,
        sys::VIR_DOMAIN_EVENT_STOPPED_DESTROYED => OffReason::Destroyed,
        sys::VIR_DOMAIN_EVENT_STOPPED_CRASHED => OffReason::Crashed,
        sys::VIR_DOMAIN_EVENT_STOPPED_FAILED => OffReason::Failed,
        sys::VIR_DOMAIN_EVENT_STOPPED_SAVED => OffReason::Saved,
        _ => OffReason::Other,
    }
}

fn close_reason(reason: c_int) -> &'static str {
    match reason as sys::virConnectCloseReason {
        sys::VIR_CONNECT_CLOSE_REASON_EOF => "the daemon closed it",
        sys::VIR_CONNECT_CLOSE_REASON_KEEPALIVE => "the daemon does not answer keepalive messages",
        sys::VIR_CONNECT_CLOSE_REASON_CLIENT => "it was closed from this side",
        _ => "an input or output error",
    }
}

/// Hands a domain's change to the sink.
///
/// # Safety
/// `domain` must be a live handle, and `opaque` a pointer from `Arc::into_raw` whose count has not been given back:
/// libvirt guarantees both for the time of a callback.
unsafe fn tell(domain: sys::virDomainPtr, opaque: *mut c_void, change: Change) {
    let mut uuid = [0u8; 16];
    // SAFETY: the caller's promise; the name belongs to the handle and is copied at once; both calls are local to the
    // handle (no message to the daemon); VIR_UUID_BUFLEN is 16.
    let (sink, name) = unsafe {
        let name = sys::virDomainGetName(domain);
        if name.is_null() || sys::virDomainGetUUID(domain, uuid.as_mut_ptr()) < 0 {
            return;
        }
        (&*(opaque as *const Sink), CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    sink(Heard::Domain(DomainKey { name, uuid: Uuid::from_bytes(uuid) }, change));
}

/// # Safety
/// `text` is null or a C string that lives as long as the call.
unsafe fn copy(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

// The callbacks. SAFETY of each: libvirt gives a live domain handle, C strings that live as long as the call, and the
// opaque pointer of the registration, which is what `tell` and `copy` ask for.

unsafe extern "C" fn on_lifecycle(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    unsafe { tell(domain, opaque, lifecycle_change(event, detail)) };
    0
}

unsafe extern "C" fn on_reboot(_: sys::virConnectPtr, domain: sys::virDomainPtr, opaque: *mut c_void) {
    unsafe { tell(domain, opaque, Change::Rebooted) };
}

unsafe extern "C" fn on_control_error(_: sys::virConnectPtr, domain: sys::virDomainPtr, opaque: *mut c_void) {
    unsafe { tell(domain, opaque, Change::ControlLost) };
}

unsafe extern "C" fn on_io_error(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _path: *const c_char,
    alias: *const c_char,
    _action: c_int,
    opaque: *mut c_void,
) {
    unsafe { tell(domain, opaque, Change::IoError { alias: copy(alias) }) };
}

unsafe extern "C" fn on_device_added(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    unsafe { tell(domain, opaque, Change::DeviceAdded { alias: copy(alias) }) };
}

unsafe extern "C" fn on_device_removed(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    unsafe { tell(domain, opaque, Change::DeviceRemoved { alias: copy(alias) }) };
}

unsafe extern "C" fn on_removal_failed(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    alias: *const c_char,
    opaque: *mut c_void,
) {
    unsafe { tell(domain, opaque, Change::DeviceRemovalFailed { alias: copy(alias) }) };
}

unsafe extern "C" fn on_close(_: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: `opaque` is the sink of `register_close`, not yet given back.
    let sink = unsafe { &*(opaque as *const Sink) };
    sink(Heard::Closed(close_reason(reason)));
}

/// Gives back the strong count that a registration held.
///
/// # Safety
/// `opaque` came from `Arc::<Sink>::into_raw` and is not used after this call.
unsafe extern "C" fn free_sink(opaque: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Arc::from_raw(opaque as *const Sink) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifecycle_numbers_mean_what_libvirt_documents() {
        // https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainEventType
        let table = [
            (2, 0, Change::Started),
            (3, 0, Change::Paused),
            (4, 0, Change::Resumed),
            (5, 0, Change::Stopped(OffReason::Shutdown)),
            (5, 1, Change::Stopped(OffReason::Destroyed)),
            (5, 2, Change::Stopped(OffReason::Crashed)),
            (5, 4, Change::Stopped(OffReason::Saved)),
            (5, 5, Change::Stopped(OffReason::Failed)),
            (6, 1, Change::ShuttingDown),
            (8, 0, Change::Crashed),
            (0, 0, Change::Redefined),
            (99, 0, Change::Redefined),
        ];
        for (event, detail, change) in table {
            assert_eq!(lifecycle_change(event, detail), change, "event {event} detail {detail}");
        }
    }
}
