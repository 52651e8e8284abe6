//! What an EC2 action is: a request type that can be read from parameters, a response type that
//! can be written, and one function from the one to the other. Declared once, served over both
//! doors. It knows no action by name; `routes.rs` lists them.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use ironbark_wsdl::Context;
use ironbark_wsdl::service::BoxFuture;

use super::params::Params;
use super::replay::reads;
use super::xml::{Door, Writer};
use crate::error::{Code, Ec2Error};
use crate::role::Role;
use crate::store::Scope;

/// A request that EC2 clients make.
pub trait Action: Sized + Send + 'static {
    /// The action's name, `RebootInstances`: the Query parameter `Action` and the SOAP body's
    /// element.
    const NAME: &'static str;
    /// Who may ask for it.
    const ACCESS: Access = Access::Resources;
    /// True if the SOAP contract (`wsdl/contract/ec2.wsdl`) has it.
    const SOAP: bool = true;
    /// True if with `DryRun=true` the action itself finds out whether it would succeed; else what comes before it is
    /// all that is looked at.
    const REHEARSES: bool = false;
    /// What is answered.
    type Response: Reply + Send;

    /// Reads and checks the request. Parameters it does not know are ignored: new clients send
    /// many.
    ///
    /// # Errors
    /// The first parameter that is missing or wrong, by name.
    fn parse(params: &Params) -> Result<Self, Ec2Error>;
}

/// A response's content, below `requestId`.
pub trait Reply {
    /// Writes the elements in the order of the 2010-08-31 contract; later additions in
    /// [`Writer::query_only`].
    fn write(&self, w: &mut Writer);

    /// True if it can be megabytes: it is then sent while it is written, and never whole in memory.
    fn is_long(&self) -> bool {
        false
    }

    /// Which service's envelope is around it.
    fn service(&self) -> Service {
        Service::Ec2
    }
}

/// A web service that clients find at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The compute cloud.
    Ec2,
    /// Who one is: AWS' Security Token Service, of which there is this one question.
    Sts,
}

/// Who may ask for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody with credentials: it is about the caller, or the action itself looks closer.
    Anyone,
    /// Those who work with the account's resources: to look, readers; to change, operators.
    Resources,
    /// Administrators of an account: of its users and groups.
    AccountAdministrator,
    /// Administrators of the cloud.
    Administrator,
}

impl Access {
    /// The least role that may ask for `action`; none is needed for some.
    pub fn least_role(self, action: &str) -> Option<Role> {
        match self {
            Access::Anyone => None,
            Access::Resources if reads(action) => Some(Role::Reader),
            Access::Resources => Some(Role::Operator),
            Access::AccountAdministrator => Some(Role::AccountAdministrator),
            Access::Administrator => Some(Role::CloudAdministrator),
        }
    }
}

/// Who asks, as the signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The id of its account, 12 digits: the owner id of what the account owns.
    pub account: String,
    /// The name of its account.
    pub account_name: String,
    /// The user's name, one in its account.
    pub user: String,
    /// The user's id.
    pub user_id: String,
    /// The highest role that the user has; none if it is in no group.
    pub role: Option<Role>,
    /// What the user signed with.
    pub credential: Credential,
}

impl Caller {
    /// True if the caller may do what that role may.
    pub fn may(&self, role: Role) -> bool {
        self.role >= Some(role)
    }

    /// Whose resources the caller may touch by naming them: its account's; an administrator of the
    /// cloud, everybody's.
    pub fn scope(&self) -> Scope {
        if self.is_administrator() { Scope::Everybody } else { Scope::Account(self.account.clone()) }
    }

    /// True for an administrator of the cloud.
    pub fn is_administrator(&self) -> bool {
        self.may(Role::CloudAdministrator)
    }
}

/// For logs and traces: `account/user`.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account_name, self.user)
    }
}

/// What a request was signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The access key of that id.
    AccessKey(String),
    /// The certificate of that fingerprint (SHA-256 of its DER, hex).
    Certificate(String),
}

type Handler<S> = Box<
    dyn Fn(
            Arc<S>,
            Context,
            Caller,
            &Params,
        ) -> Result<BoxFuture<'static, Result<Box<dyn Reply + Send>, Ec2Error>>, Ec2Error>
        + Send
        + Sync,
>;

/// One line of the list of actions.
struct Route<S> {
    access: Access,
    soap: bool,
    rehearses: bool,
    handler: Handler<S>,
}

/// The visible list of what the cloud serves: action to function, one line each.
pub struct Actions<S> {
    routes: BTreeMap<&'static str, Route<S>>,
}

impl<S: Send + Sync + 'static> Default for Actions<S> {
    fn default() -> Self {
        Self { routes: BTreeMap::new() }
    }
}

impl<S: Send + Sync + 'static> Actions<S> {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves action `R` by `handler`.
    ///
    /// # Panics
    /// If an action is listed twice: a mistake in the list, seen at the first start.
    #[must_use]
    pub fn on<R, F, Fut>(mut self, handler: F) -> Self
    where
        R: Action,
        F: Fn(Arc<S>, Context, Caller, R) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Response, Ec2Error>> + Send + 'static,
        R::Response: 'static,
    {
        let boxed: Handler<S> = Box::new(move |state, ctx, caller, params| {
            let request = R::parse(params)?;
            let answer = handler(state, ctx, caller, request);
            Ok(Box::pin(async move { answer.await.map(|response| Box::new(response) as Box<dyn Reply + Send>) }))
        });
        let route = Route { access: R::ACCESS, soap: R::SOAP, rehearses: R::REHEARSES, handler: boxed };
        let before = self.routes.insert(R::NAME, route);
        assert!(before.is_none(), "the action {} is listed twice", R::NAME);
        self
    }

    /// The names of the actions served through a door, sorted.
    pub fn names(&self, door: Door) -> Vec<&'static str> {
        let served = |route: &Route<S>| door == Door::Query || route.soap;
        self.routes.iter().filter(|(_, route)| served(route)).map(|(name, _)| *name).collect()
    }

    /// Checks that the caller may ask for `action`, reads the request and carries it out. With
    /// `DryRun=true` it stops before the last step, with EC2's `DryRunOperation`, unless the action rehearses.
    ///
    /// # Errors
    /// `InvalidAction`, `UnauthorizedOperation`, `DryRunOperation`, or the action's own.
    pub(super) async fn serve(
        &self,
        state: Arc<S>,
        ctx: Context,
        caller: Caller,
        call: &Call,
    ) -> Result<Box<dyn Reply + Send>, Ec2Error> {
        let route = self.routes.get(call.action.as_str()).filter(|route| call.door == Door::Query || route.soap);
        let Some(route) = route else { return Err(self.unknown(call)) };
        if let Some(least) = route.access.least_role(&call.action).filter(|least| !caller.may(*least)) {
            let has = caller.role.map_or("none", Role::name);
            let text = format!(
                "{} needs the role {least}, and {caller} has {has}; ask an administrator, or use another user's credentials",
                call.action
            );
            return Err(Ec2Error::new(Code::UnauthorizedOperation, text));
        }
        let dry = call.params.boolean("DryRun")?.unwrap_or(false);
        // Parsing comes first: EC2 reports bad parameters even of a dry run.
        let answer = (route.handler)(state, ctx, caller, &call.params)?;
        if dry && !route.rehearses {
            // The future was never polled, so the action has not begun.
            drop(answer);
            let text = "Request would have succeeded, but DryRun flag is set.";
            return Err(Ec2Error::new(Code::DryRunOperation, text));
        }
        answer.await
    }

    fn unknown(&self, call: &Call) -> Ec2Error {
        let shown = &call.action;
        let elsewhere = call.door == Door::Soap && self.routes.contains_key(call.action.as_str());
        let text = if elsewhere {
            format!("The action {shown} is served to Query clients only")
        } else {
            format!("The action {shown} is not valid for this web service")
        };
        Ec2Error::new(Code::InvalidAction, text)
    }
}

/// An authenticated request, whichever door it came through.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub door: Door,
    pub action: String,
    pub params: Params,
}

impl Call {
    /// A request for `action`, which must at least look like one: it is logged and traced.
    ///
    /// # Errors
    /// `InvalidAction`.
    pub(super) fn new(door: Door, action: &str, params: Params) -> Result<Self, Ec2Error> {
        if (1..=64).contains(&action.len()) && action.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self { door, action: action.to_string(), params });
        }
        Err(Ec2Error::new(Code::InvalidAction, "An action is named by at most 64 letters and digits"))
    }
}
