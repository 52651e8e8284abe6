//! The owner of all instances: asks for things as clients do, again when no answer comes, and remembers what he was told.
//! What he was told must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ironbark_clc::doctor::{Finding, Kind};
use ironbark_clc::ec2::admin::{DescribeFindings, RepairFindings};
use ironbark_clc::ec2::instances::{
    DescribeInstances, InstanceState, RebootInstances, StartInstances, StateReason, StopInstances, TerminateInstances,
};
use ironbark_clc::ec2::run::RunInstances;
use ironbark_clc::error::{Code, Ec2Error};
use ironbark_clc::front::{Caller, Credential};
use ironbark_clc::role::Role;
use ironbark_clc::{Cloud, actions};
use ironbark_wsdl::{Context, RequestId};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::chance::Dice;
use crate::log::note;
use crate::network::Network;
use crate::tiers::{ACCOUNT, Door, GROUP, IMAGE};

/// How long he waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be asked for.
#[derive(Clone, Debug)]
pub enum Request {
    /// `apart`: in the placement group that keeps its instances apart.
    Run {
        token: String,
        count: u32,
        apart: bool,
    },
    Reboot(String),
    Stop {
        id: String,
        force: bool,
    },
    Start(String),
    Terminate(String),
    /// `euca admin unstick`.
    Unstick(String),
    /// `euca doctor --repair`.
    Repair,
    /// `euca doctor`.
    Examine,
    Describe,
}

/// What came back.
enum Answer {
    Run(Vec<String>),
    Done,
    Found(Vec<Finding>),
    Seen(Vec<Seen>),
}

/// One instance as DescribeInstances showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: String,
    pub state: InstanceState,
    pub reason: Option<StateReason>,
}

/// What may have been wished last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    Run,
    Stop,
    End,
}

/// An instance that the owner was told of.
#[derive(Debug)]
pub struct Owned {
    /// When he was told.
    given: Duration,
    /// No other such instance may be on its node.
    pub apart: bool,
    /// One of these; more than one where an answer was lost and a later one said no.
    pub wishes: BTreeSet<Wish>,
    /// Its guest, or its hypervisor, has done something that nobody wished.
    pub disturbed: bool,
    /// He was shown that it has ended.
    pub ended: bool,
    /// Something is asked of it.
    pub busy: bool,
    /// Reboots that he was told are done.
    pub rebooted: u32,
    /// It was last seen so.
    pub state: InstanceState,
}

struct Call {
    request: Request,
    answer: oneshot::Receiver<Result<Answer, Ec2Error>>,
    /// Until when it is waited for.
    until: Duration,
    /// An earlier try had no answer.
    doubtful: bool,
}

pub struct User {
    dice: Dice,
    network: Network,
    door: Door,
    calls: Vec<Call>,
    /// What is to be asked again, and when.
    again: Vec<(Duration, Request, bool)>,
    pub instances: BTreeMap<String, Owned>,
    tokens: BTreeMap<String, Vec<String>>,
    /// How many instances he was given.
    pub launched: usize,
    asked: usize,
    /// The latest DescribeInstances, and when it was asked for.
    pub seen: Option<(Duration, Vec<Seen>)>,
    /// What the latest doctor found that is not as it should be, and when he was asked.
    pub found: Option<(Duration, Vec<Finding>)>,
}

impl User {
    pub fn new(seed: u64, network: Network, door: Door) -> Self {
        Self {
            dice: Dice::of(seed, "user"),
            network,
            door,
            calls: Vec::new(),
            again: Vec::new(),
            instances: BTreeMap::new(),
            tokens: BTreeMap::new(),
            launched: 0,
            asked: 0,
            seen: None,
            found: None,
        }
    }

    /// Whether everything he asked for was answered.
    pub fn is_answered(&self) -> bool {
        self.again.is_empty() && self.calls.iter().all(|call| call.request.only_looks())
    }

    /// Instances that are kept apart, and those that are being asked for.
    pub fn kept_apart(&self) -> usize {
        let asked = self.calls.iter().map(|call| &call.request).chain(self.again.iter().map(|(_, request, _)| request));
        let asked = asked.map(|request| match request {
            Request::Run { count, apart: true, .. } => *count as usize,
            _ => 0,
        });
        self.instances.values().filter(|owned| owned.apart && !owned.ended).count() + asked.sum::<usize>()
    }

    /// Asks for new instances.
    pub fn run(&mut self, count: u32, apart: bool, cloud: Option<&Handle>, now: Duration) {
        self.asked += 1;
        let token = format!("token-{}", self.asked);
        self.ask(Request::Run { token, count, apart }, false, cloud, now);
    }

    /// Asks something, of an instance only if nothing is being asked of it.
    pub fn ask_of(&mut self, request: Request, cloud: Option<&Handle>, now: Duration) {
        if let Some(owned) = request.instance().and_then(|id| self.instances.get_mut(id)) {
            owned.busy = true;
        }
        self.ask(request, false, cloud, now);
    }

    /// Looks at everything, by himself or with a doctor, unless he is looking already.
    pub fn look(&mut self, request: Request, cloud: Option<&Handle>, now: Duration) {
        if cloud.is_some() && !self.calls.iter().any(|call| call.request.only_looks()) {
            self.ask(request, false, cloud, now);
        }
    }

    fn ask(&mut self, request: Request, doubtful: bool, cloud: Option<&Handle>, now: Duration) {
        let running = self.door.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(cloud), Some(runtime)) = (running, cloud) else {
            if !request.only_looks() {
                self.try_again(request, doubtful, now);
            }
            return;
        };
        note!("user: {request:?}");
        let (told, answer) = oneshot::channel();
        let (there, back, asked) = (self.network.delay(), self.network.delay(), request.clone());
        runtime.spawn(async move {
            sleep(there).await;
            let result = perform(cloud, asked).await;
            sleep(back).await;
            drop(told.send(result));
        });
        self.calls.push(Call { request, answer, until: now + PATIENCE, doubtful });
    }

    fn try_again(&mut self, request: Request, doubtful: bool, now: Duration) {
        let pause = self.dice.ms(500..5000);
        self.again.push((now + pause, request, doubtful));
    }

    /// Hears the answers that have come, and asks again what had none.
    pub fn hear(&mut self, cloud: Option<&Handle>, now: Duration) {
        for mut call in std::mem::take(&mut self.calls) {
            match call.answer.try_recv() {
                Ok(Ok(answer)) => self.told(&call, answer, now),
                Ok(Err(error)) => self.failed(call, &error, now),
                Err(oneshot::error::TryRecvError::Empty) if now < call.until => self.calls.push(call),
                Err(_) => {
                    note!("user: no answer to {:?}", call.request);
                    self.unknown(call, now);
                }
            }
        }
        let (due, later) = std::mem::take(&mut self.again).into_iter().partition(|(at, _, _)| *at <= now);
        self.again = later;
        for (_, request, doubtful) in due {
            self.ask(request, doubtful, cloud, now);
        }
    }

    /// Nobody repeats a reboot, a repair or a look of which he does not know what came of it.
    fn unknown(&mut self, call: Call, now: Duration) {
        match call.request {
            Request::Reboot(id) | Request::Unstick(id) => self.free(&id),
            Request::Repair | Request::Examine | Request::Describe => {}
            Request::Run { .. } | Request::Stop { .. } | Request::Start(_) | Request::Terminate(_) => {
                self.try_again(call.request, true, now);
            }
        }
    }

    fn failed(&mut self, call: Call, error: &Ec2Error, now: Duration) {
        note!("user: {:?}: {error}", call.request);
        let full = error.code == Code::InsufficientInstanceCapacity;
        match &call.request {
            Request::Run { .. } if full && !call.doubtful => {}
            Request::Reboot(id) => self.free(id),
            Request::Repair | Request::Examine | Request::Describe => {
                assert!(error.code.is_server(), "refused: {error}")
            }
            _ if error.code.is_server() => self.try_again(call.request, call.doubtful, now),
            Request::Run { .. } => panic!("a launch was refused: {error}"),
            Request::Stop { id, .. } | Request::Start(id) | Request::Terminate(id) | Request::Unstick(id) => {
                assert_ne!(error.code, Code::InvalidInstanceIdNotFound, "{id} was given, and is lost");
                let owned = self.instances.get_mut(id).expect("he asks for his own");
                if call.doubtful {
                    owned.wishes.extend(call.request.wish());
                }
                owned.busy = false;
            }
        }
    }

    fn free(&mut self, id: &str) {
        if let Some(owned) = self.instances.get_mut(id) {
            owned.busy = false;
        }
    }

    fn told(&mut self, call: &Call, answer: Answer, now: Duration) {
        match (answer, &call.request) {
            (Answer::Run(ids), Request::Run { token, count, apart }) => self.given(token, *count, *apart, ids, now),
            (_, Request::Repair) => note!("user: repaired"),
            (Answer::Seen(seen), _) => self.shown(seen, call.until.saturating_sub(PATIENCE)),
            (Answer::Found(mut found), _) => {
                // Not as it should be is neither that something has failed before nor that our own machine is full.
                found.retain(|finding| !matches!(finding.kind, Kind::Failed | Kind::DiskLow));
                self.found = Some((call.until.saturating_sub(PATIENCE), found));
            }
            (_, request) => {
                note!("user: done {request:?} after {:?}", now + PATIENCE - call.until);
                let (id, wish) = (request.instance().expect("the others have none"), request.wish());
                let owned = self.instances.get_mut(id).expect("he asks for his own");
                owned.busy = false;
                owned.rebooted += u32::from(matches!(request, Request::Reboot(_)));
                if let Some(wish) = wish {
                    assert!(
                        !owned.wishes.contains(&Wish::End) || wish == Wish::End || owned.wishes.len() > 1,
                        "{id} came back"
                    );
                    owned.wishes = BTreeSet::from([wish]);
                }
            }
        }
    }

    fn given(&mut self, token: &str, count: u32, apart: bool, ids: Vec<String>, now: Duration) {
        note!("user: {token} is {ids:?}");
        assert_eq!(ids.len(), usize::try_from(count).expect("a small number"), "{token}");
        let known = self.tokens.insert(token.to_string(), ids.clone());
        assert!(known.is_none(), "{token} was answered twice");
        self.launched += ids.len();
        for id in ids {
            let owned = Owned {
                given: now,
                apart,
                wishes: BTreeSet::from([Wish::Run]),
                disturbed: false,
                ended: false,
                busy: false,
                rebooted: 0,
                state: InstanceState::Pending,
            };
            assert!(self.instances.insert(id.clone(), owned).is_none(), "{id} was given twice");
        }
    }

    /// All that he was given before he asked must be shown, and what has ended stays so.
    fn shown(&mut self, seen: Vec<Seen>, asked: Duration) {
        let by_id: BTreeMap<&str, &Seen> = seen.iter().map(|seen| (seen.id.as_str(), seen)).collect();
        assert_eq!(by_id.len(), seen.len(), "an instance is shown twice");
        for (id, owned) in &mut self.instances {
            let Some(shown) = by_id.get(id.as_str()) else {
                // What has ended is shown for an hour.
                assert!(owned.given > asked || owned.ended, "{id} was given, and is lost");
                continue;
            };
            owned.state = shown.state;
            let ended = shown.state == InstanceState::Terminated;
            assert!(ended || !owned.ended, "{id} had ended, and is {}", shown.state.name());
            owned.ended = ended;
            if ended && !owned.wishes.contains(&Wish::End) {
                assert!(shown.reason.is_some(), "{id} has ended without a reason");
            }
        }
        if self.seen.as_ref().is_none_or(|(before, _)| *before <= asked) {
            self.seen = Some((asked, seen));
        }
    }
}

impl Request {
    /// The instance that it is about.
    pub fn instance(&self) -> Option<&str> {
        match self {
            Self::Reboot(id) | Self::Start(id) | Self::Terminate(id) | Self::Unstick(id) => Some(id),
            Self::Stop { id, .. } => Some(id),
            Self::Run { .. } | Self::Repair | Self::Examine | Self::Describe => None,
        }
    }

    fn only_looks(&self) -> bool {
        matches!(self, Self::Examine | Self::Describe)
    }

    fn wish(&self) -> Option<Wish> {
        match self {
            Self::Stop { .. } => Some(Wish::Stop),
            Self::Start(_) => Some(Wish::Run),
            Self::Terminate(_) => Some(Wish::End),
            Self::Run { .. } | Self::Reboot(_) => None,
            Self::Unstick(_) | Self::Repair | Self::Examine | Self::Describe => None,
        }
    }
}

/// Carries a request out at the cloud's door.
async fn perform(cloud: Arc<Cloud>, request: Request) -> Result<Answer, Ec2Error> {
    let ctx = Context::new(RequestId::random(), ACCOUNT, PATIENCE, cloud.recorder.clone());
    let caller = Caller {
        account: ACCOUNT.into(),
        account_name: "alice".into(),
        user: "admin".into(),
        user_id: "AIDA".into(),
        role: Some(Role::CloudAdministrator),
        credential: Credential::AccessKey("AKIB".into()),
    };
    match request {
        Request::Run { token, count, apart } => {
            let request = RunInstances {
                image_id: IMAGE.into(),
                min_count: 1,
                max_count: count,
                instance_type: "m1.small".into(),
                client_token: Some(token),
                placement_group: apart.then(|| GROUP.to_string()),
                ..RunInstances::default()
            };
            let answer = actions::run::run_instances(cloud, ctx, caller, request).await?;
            Ok(Answer::Run(answer.0.instances.into_iter().map(|instance| instance.instance_id).collect()))
        }
        Request::Reboot(id) => {
            let request = RebootInstances { instance_ids: vec![id] };
            actions::instances::reboot_instances(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Stop { id, force } => {
            let request = StopInstances { instance_ids: vec![id], force };
            actions::instances::stop_instances(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Start(id) => {
            let request = StartInstances { instance_ids: vec![id] };
            actions::instances::start_instances(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Terminate(id) => {
            let request = TerminateInstances { instance_ids: vec![id] };
            actions::instances::terminate_instances(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Unstick(id) => {
            let request = RepairFindings { instance_id: Some(id) };
            actions::doctor::repair_findings(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Repair => {
            let request = RepairFindings { instance_id: None };
            actions::doctor::repair_findings(cloud, ctx, caller, request).await.map(|_| Answer::Done)
        }
        Request::Examine => {
            let answer = actions::doctor::describe_findings(cloud, ctx, caller, DescribeFindings::default()).await?;
            Ok(Answer::Found(answer.findings.into_iter().map(|found| found.finding).collect()))
        }
        Request::Describe => {
            let request = DescribeInstances::default();
            let answer = actions::instances::describe_instances(cloud, ctx, caller, request).await?;
            let instances = answer.reservations.into_iter().flat_map(|reservation| reservation.instances);
            let seen = instances.map(|instance| Seen {
                id: instance.instance_id,
                state: instance.state,
                reason: instance.state_reason,
            });
            Ok(Answer::Seen(seen.collect()))
        }
    }
}
