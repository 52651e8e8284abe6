//! The place of an operation among those of its instance. A cloud counts the operations of each instance; the count
//! goes with them down to the node, in the header block `Epochs`, so that one that comes late or twice is known there.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The epochs of the instances that a message is about; none in messages that are no operations on instances, and in
/// those of clouds that do not count them. As text: `i-3C5A0732:4 i-3F9B0711:1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs(Arc<BTreeMap<String, i64>>);

/// A text that is no list of epochs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("'{0}' in the header block Epochs is no instance with its epoch, such as i-3C5A0732:4")]
pub struct BadEpochs(String);

impl Epochs {
    /// The epoch of the operation on this instance, where it is known.
    pub fn of(&self, instance_id: &str) -> Option<i64> {
        self.0.get(instance_id).copied()
    }

    /// That of this instance alone.
    #[must_use]
    pub fn only(&self, instance_id: &str) -> Self {
        self.of(instance_id).map(|epoch| (instance_id.to_string(), epoch)).into_iter().collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, i64)> for Epochs {
    fn from_iter<I: IntoIterator<Item = (String, i64)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().collect()))
    }
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (id, epoch)) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{id}:{epoch}")?;
        }
        Ok(())
    }
}

impl FromStr for Epochs {
    type Err = BadEpochs;

    fn from_str(text: &str) -> Result<Self, BadEpochs> {
        let pair = |word: &str| {
            let (id, epoch) = word.split_once(':')?;
            Some((id.to_string(), epoch.parse().ok().filter(|epoch| *epoch > 0)?))
        };
        let bad = |word: &str| BadEpochs(word.chars().take(64).collect());
        text.split_ascii_whitespace().map(|word| pair(word).ok_or_else(|| bad(word))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_go_as_text_and_come_back() {
        let epochs: Epochs = [("i-3F9B0711".to_string(), 1), ("i-3C5A0732".to_string(), 4)].into_iter().collect();
        assert_eq!(epochs.to_string(), "i-3C5A0732:4 i-3F9B0711:1");
        assert_eq!(epochs.to_string().parse(), Ok(epochs.clone()));
        assert_eq!(epochs.only("i-3C5A0732").to_string(), "i-3C5A0732:4");
        assert!(epochs.only("i-00000000").is_empty());
        assert_eq!("".parse(), Ok(Epochs::default()));
        for bad in ["i-3C5A0732", "i-3C5A0732:", "i-3C5A0732:0", "i-3C5A0732:x", "i-1:1 :", "i-1:99999999999999999999"]
        {
            assert!(bad.parse::<Epochs>().is_err(), "{bad}");
        }
    }
}
