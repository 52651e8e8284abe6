//! Our client and our door in the profile `euca-2.0.1`, beside the strict one: each caller by the
//! rules for which it is registered, and by no others.

use std::sync::Arc;
use std::time::Duration;

use ironbark_wsdl::clock::Clock;
use ironbark_wsdl::peer::{Identities, Peer, SoapClient};
use ironbark_wsdl::wsse::{Identity, Profile, Security};
use ironbark_wsdl::{CallError, Context, Recorder, Service, call, ironbark, nc};

use crate::door::{Keys, open};

struct Lab {
    keys: Keys,
    /// The strict caller's, an RSA key to make it hard.
    strict: Arc<Identity>,
    /// The old caller's.
    old: Arc<Identity>,
    url: String,
}

impl Lab {
    async fn new() -> Self {
        let [own, old_own, strict, old] = ["door", "node", "cluster", "old-cluster"]
            .map(|name| Arc::new(Identity::generate_rsa(name).expect("a key")));
        let keys = Keys {
            own,
            old: old_own,
            strict_callers: vec![strict.certificate().clone()],
            old_callers: vec![old.certificate().clone()],
        };
        let port = open(Service::Nc, keys.security()).await;
        Self { keys, strict, old, url: format!("http://127.0.0.1:{port}/axis2/services/EucalyptusNC") }
    }

    /// A client with this key that follows the rules of `profile`.
    fn client(&self, identity: &Arc<Identity>, profile: Profile) -> SoapClient {
        let server = if profile == Profile::Strict { &self.keys.own } else { &self.keys.old };
        let peer = Peer { url: self.url.clone(), certificate: server.certificate().clone(), profile };
        let identities = Identities { own: identity.clone(), old: Some(identity.clone()) };
        SoapClient::new(&peer, &identities, Clock::system()).expect("RSA keys")
    }
}

fn ctx() -> Context {
    Context::background(Duration::from_secs(20), Arc::new(Recorder::new("cc:test")))
}

fn reboot() -> nc::RebootInstance {
    nc::RebootInstance { instance_id: "i-10000000".to_string(), ..Default::default() }
}

#[tokio::test]
async fn one_door_serves_both_and_mixes_nothing() {
    let lab = Lab::new().await;
    for (identity, right, wrong) in
        [(&lab.strict, Profile::Strict, Profile::Euca201), (&lab.old, Profile::Euca201, Profile::Strict)]
    {
        let answer = call(&lab.client(identity, right), &ctx(), reboot()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{right}: {error}"));
        assert_eq!(answer.user_id.as_deref(), Some("eucalyptus"));
        // The same key by the other rules: neither down- nor upgraded.
        let refused = call(&lab.client(identity, wrong), &ctx(), reboot()).await;
        assert!(matches!(refused, Err(CallError::Fault { .. })), "{identity:?} by {wrong}: {refused:?}");
    }
    let stranger = Arc::new(Identity::generate_rsa("stranger").expect("a key"));
    for profile in [Profile::Strict, Profile::Euca201] {
        let refused = call(&lab.client(&stranger, profile), &ctx(), reboot()).await;
        assert!(matches!(refused, Err(CallError::Fault { .. })), "{profile}: {refused:?}");
    }
}

#[tokio::test]
async fn old_callers_have_the_old_operations_only() {
    let lab = Lab::new().await;
    let stop = || ironbark::StopInstance { instance_id: "i-10000000".to_string(), ..Default::default() };
    assert!(call(&lab.client(&lab.strict, Profile::Strict), &ctx(), stop()).await.is_ok());
    // Our own client does not even ask an old peer.
    let refused = call(&lab.client(&lab.old, Profile::Euca201), &ctx(), stop()).await;
    let Err(CallError::Declined { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("Eucalyptus 2.0.1 has no StopInstance"), "{reason}");
}

/// Registered for strict, now or later: never by the weaker rules.
#[tokio::test]
async fn a_strict_callers_certificate_is_no_old_ones() {
    let lab = Lab::new().await;
    let certificate = lab.strict.certificate().clone();
    let security = Security::new(lab.keys.own.clone(), Profile::Strict, Clock::system());
    security.trust(vec![certificate.clone()]);
    let twice = security.with_old_callers(lab.keys.old.clone(), vec![certificate]);
    let Err(error) = twice else { panic!("a caller with two profiles") };
    assert!(error.to_string().contains("one profile"), "{error}");

    let security = lab.keys.security();
    security.trust(vec![lab.old.certificate().clone()]);
    let port = open(Service::Nc, security).await;
    let moved = Lab { url: format!("http://127.0.0.1:{port}/axis2/services/EucalyptusNC"), ..lab };
    let refused = call(&moved.client(&moved.old, Profile::Euca201), &ctx(), reboot()).await;
    assert!(matches!(refused, Err(CallError::Fault { .. })), "{refused:?}");
    assert!(call(&moved.client(&moved.old, Profile::Strict), &ctx(), reboot()).await.is_ok());
}

#[tokio::test]
async fn keys_that_2_0_1_cannot_use_are_refused_before_any_call() {
    let lab = Lab::new().await;
    let ecdsa = Arc::new(Identity::generate("n1").expect("a key"));
    let old_peer = |certificate| Peer { url: lab.url.clone(), certificate, profile: Profile::Euca201 };
    let rsa = lab.keys.old.certificate().clone();
    for (peer, identities) in [
        (old_peer(rsa.clone()), Identities::from(lab.old.clone())),
        (old_peer(rsa), Identities { own: lab.old.clone(), old: Some(ecdsa.clone()) }),
        (old_peer(ecdsa.certificate().clone()), Identities { own: lab.old.clone(), old: Some(lab.old.clone()) }),
    ] {
        assert!(SoapClient::new(&peer, &identities, Clock::system()).is_err());
    }
    let security = || Security::new(lab.keys.own.clone(), Profile::Strict, Clock::system());
    assert!(security().with_old_callers(ecdsa.clone(), Vec::new()).is_err());
    assert!(security().with_old_callers(lab.old.clone(), vec![ecdsa.certificate().clone()]).is_err());
}

#[tokio::test]
async fn what_an_old_peer_would_damage_is_not_sent() {
    let lab = Lab::new().await;
    let client = lab.client(&lab.old, Profile::Euca201);
    let run = nc::RunInstance { user_data: Some("gr\u{fc}n".to_string()), ..Default::default() };
    let refused = call(&client, &ctx(), run).await;
    let Err(CallError::Declined { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("ncRunInstance/userData") && reason.contains("U+00FC"), "{reason}");
}
