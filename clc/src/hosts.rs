//! What is told of the cloud's machines: its administrators read a text as it is, owners without the names and addresses
//! of the hosts of clusters and nodes. Of placements, which are no texts, `convert` gives each what they may see.

use std::collections::BTreeSet;

use crate::cloud::Cloud;
use crate::front::Caller;

/// What stands where a host was named.
const HIDDEN: &str = "[hidden]";

/// How one caller may read what clusters and nodes have said.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// What names a host; nothing for those who may read it.
    hosts: BTreeSet<String>,
}

impl Reader {
    /// The caller as a reader of what this cloud's clusters and nodes say.
    pub fn of(cloud: &Cloud, caller: &Caller) -> Self {
        let mut hosts = BTreeSet::new();
        if !caller.is_administrator() {
            cloud.clusters.look(|cluster, known| {
                hosts.extend(host(&cluster.url));
                for node in known.description.iter().flat_map(|description| &description.nodes) {
                    hosts.extend(host(&node.url));
                    hosts.insert(node.name.clone());
                }
            });
        }
        Self { hosts }
    }

    /// The text as this reader may have it.
    pub fn text(&self, text: &str) -> String {
        self.hosts.iter().filter(|host| !host.is_empty()).fold(text.to_string(), |text, host| without(&text, host))
    }
}

/// The host of an endpoint.
fn host(url: &str) -> Option<String> {
    url.parse::<http::Uri>().ok()?.host().map(str::to_string)
}

/// The text with `HIDDEN` for the word, where it is not a part of a longer one.
fn without(text: &str, word: &str) -> String {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let (mut done, mut from) = (String::with_capacity(text.len()), 0);
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        if !joins(text[..at].chars().next_back()) && !joins(text[end..].chars().next()) {
            done.push_str(&text[from..at]);
            done.push_str(HIDDEN);
            from = end;
        }
    }
    done.push_str(&text[from..]);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_hidden_and_what_only_looks_like_one_is_not() {
        let hosts = ["n1", "10.0.0.7"].map(str::to_string).into();
        let owner = Reader { hosts };
        let told = "i-1A2B-n1 on node n1: cannot connect to 10.0.0.7:8775 (not 10.0.0.77 or n10); ask n1.";
        let read = "i-1A2B-n1 on node [hidden]: cannot connect to [hidden]:8775 (not 10.0.0.77 or n10); ask [hidden].";
        assert_eq!(owner.text(told), read);
        assert_eq!(Reader::default().text(told), told);
    }

    #[test]
    fn an_endpoint_has_a_host() {
        assert_eq!(host("http://cc.example:8774/axis2/services/EucalyptusCC").as_deref(), Some("cc.example"));
        assert_eq!(host("not a url"), None);
    }
}
