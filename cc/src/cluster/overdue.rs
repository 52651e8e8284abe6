//! What becomes of instances whose node has been silent for long: nobody waits for ever. Pure, as `merge` is. What is
//! decided here is a promise for later, too: an instance that is given up is marked unwanted, so that it is ended
//! wherever it turns up, and no second copy of it is ever started.
//!
//! Running and stopped instances of a silent node stay as they are: they may well be.

use jiff::{SignedDuration, Timestamp};

use super::beliefs::Beliefs;
use super::instance::{Instance, State};
use super::node::Health;
use crate::ids::InstanceId;

/// A launch whose node has been silent for so long is given up (2.0.1's patience with a silent peer).
const LAUNCH: SignedDuration = SignedDuration::from_mins(10);
/// An instance that is to be ended counts as ended when its node has been silent for so long (operations-spec C-8).
const END: SignedDuration = SignedDuration::from_secs(180);

/// Gives up what has waited for too long: each instance, and the sentence that is its reason now.
pub fn resolve(beliefs: &mut Beliefs, now: Timestamp) -> Vec<(InstanceId, String)> {
    let candidates = beliefs.instances.values().filter(|instance| instance.alive() && instance.also_on.is_empty());
    let overdue: Vec<(InstanceId, State, String)> = candidates
        .filter_map(|instance| {
            let (silent, condition) = silence(beliefs, instance, now)?;
            let (state, reason) = end_of(instance, silent, &condition)?;
            Some((instance.id.clone(), state, reason))
        })
        .collect();
    for (id, state, reason) in &overdue {
        beliefs.edit(id, |instance| {
            instance.unwanted = true;
            instance.claimed = false;
            instance.enter(*state, Some(reason.clone()), now);
        });
    }
    overdue.into_iter().map(|(id, _, reason)| (id, reason)).collect()
}

/// For how long the instance's node has been silent, and how it is; none if it is not down. A node that is not
/// registered any more never answers again.
fn silence(beliefs: &Beliefs, instance: &Instance, now: Timestamp) -> Option<(SignedDuration, String)> {
    match beliefs.node(&instance.node) {
        None => Some((SignedDuration::MAX, "is not registered any more".to_string())),
        Some(node) if node.health == Health::Down => {
            let since = node.last_seen.unwrap_or(node.since);
            Some((now.duration_since(since), format!("is {}", node.condition())))
        }
        Some(_) => None,
    }
}

/// How an instance ends that has waited for `silent`; none while it has not waited for long enough, or waits for
/// nothing.
fn end_of(instance: &Instance, silent: SignedDuration, condition: &str) -> Option<(State, String)> {
    let node = &instance.node;
    // One that has run before is being started again: its disk is its owner's.
    let launching = instance.state == State::Pending && instance.boots.unwrap_or(0) == 0;
    if instance.unwanted && silent >= END {
        let text = format!("ended; its node {node} {condition}, and removes what is left of it when it answers again");
        return Some((State::Terminated, text));
    }
    if launching && silent >= LAUNCH {
        let text = format!("given up: its node {node} {condition}, and had not told that it runs");
        return Some((State::Failed, text));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::instance::{Launch, Spec};
    use crate::cluster::node::{Entry, Profile, Source};
    use crate::ids::NodeName;
    use std::time::Duration;

    fn at(minutes: i64) -> Timestamp {
        "2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minutes)
    }

    fn id() -> InstanceId {
        InstanceId::parse("i-0000000A").unwrap()
    }

    /// One instance in that state on a node that answered at minute 0 and never since.
    fn silent(state: State, change: impl FnOnce(&mut Instance)) -> Beliefs {
        let name = NodeName::parse("n1").unwrap();
        let (url, certificate) = ("http://n1:8775/".to_string(), String::new());
        let entry =
            Entry { name: name.clone(), url, profile: Profile::Strict, certificate, source: Source::Registered };
        let mut beliefs = Beliefs::default();
        beliefs.add_node(entry, at(0));
        let node = beliefs.node_mut(&name).unwrap();
        node.answered(at(0));
        for _ in 0..3 {
            node.missed("no route".into(), Duration::from_secs(2), at(1));
        }
        let mut instance = Instance::placed(id(), Spec::default(), name, at(0));
        instance.state = state;
        instance.launch = Launch::Settled;
        change(&mut instance);
        beliefs.adopt(instance);
        beliefs
    }

    #[test]
    fn a_launch_on_a_silent_node_is_given_up_in_the_end_and_ended_should_it_turn_up() {
        let mut beliefs = silent(State::Pending, |_| {});
        assert_eq!(resolve(&mut beliefs, at(9)), [], "its node may come back");
        let told = resolve(&mut beliefs, at(10));
        assert!(told[0].1.contains("its node n1 is down since 2026-11-20T10:01:00Z: no route"), "{told:?}");
        let instance = &beliefs.instances[&id()];
        assert_eq!((instance.state, instance.unwanted, instance.claimed), (State::Failed, true, false));
        assert_eq!(resolve(&mut beliefs, at(11)), [], "once");
    }

    #[test]
    fn what_is_to_be_ended_counts_as_ended_after_three_minutes() {
        let mut beliefs = silent(State::Running, |instance| instance.unwanted = true);
        assert_eq!(resolve(&mut beliefs, at(2)), []);
        assert_eq!(resolve(&mut beliefs, at(3)).len(), 1);
        assert_eq!(beliefs.instances[&id()].state, State::Terminated);
    }

    #[test]
    fn what_has_run_is_left_alone() {
        for state in [State::Running, State::Stopped, State::Stopping, State::Rebooting, State::Pending] {
            let mut beliefs = silent(state, |instance| instance.boots = Some(1));
            assert_eq!(resolve(&mut beliefs, at(6000)), [], "{state:?}");
        }
    }

    #[test]
    fn an_instance_of_a_node_that_is_not_registered_any_more_can_be_ended() {
        let mut beliefs = silent(State::Running, |instance| instance.unwanted = true);
        beliefs.nodes.clear();
        assert_eq!(resolve(&mut beliefs, at(0)).len(), 1);
    }
}
