//! Answers in pages: `MaxResults` and `NextToken`.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Code, Ec2Error};
use crate::front::Params;

/// Which part of a long answer is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How many at most; everything if absent.
    pub max_results: Option<usize>,
    /// The key after which to go on, from the token of the page before.
    after: Option<String>,
}

impl Page {
    /// Reads `MaxResults` (5 to 1000, as most actions of EC2 have it) and `NextToken`.
    ///
    /// # Errors
    /// `InvalidParameterValue`, `InvalidNextToken`.
    pub fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Self::within(params, 5..=1000)
    }

    /// [`Page::parse`] where `MaxResults` has other limits.
    ///
    /// # Errors
    /// As [`Page::parse`].
    pub fn within(params: &Params, limits: RangeInclusive<i64>) -> Result<Self, Ec2Error> {
        let max_results = params.integer("MaxResults", limits)?.and_then(|max| usize::try_from(max).ok());
        let after = params.optional("NextToken").map(decode).transpose()?;
        Ok(Self { max_results, after })
    }

    /// True if a page was asked for; ids and a page together are refused by EC2.
    pub fn is_asked(&self) -> bool {
        self.max_results.is_some() || self.after.is_some()
    }

    /// Refuses a page of what was named: ids and `MaxResults` do not go together (EC2's rule).
    ///
    /// # Errors
    /// `InvalidParameterCombination`.
    pub fn refuse_with(&self, parameter: &str, none_named: bool) -> Result<(), Ec2Error> {
        if none_named || self.max_results.is_none() {
            return Ok(());
        }
        let text = format!("The parameter {parameter} cannot be used with the parameter MaxResults");
        Err(Ec2Error::new(Code::InvalidParameterCombination, text))
    }

    /// Cuts the page out of everything, and gives the token of the next one. The order is that of
    /// the keys, so pages stay whole while things come and go.
    pub fn cut<T>(&self, mut all: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        if !self.is_asked() {
            return (all, None);
        }
        all.sort_by_key(&key);
        if let Some(after) = &self.after {
            all.retain(|item| key(item) > *after);
        }
        let Some(max) = self.max_results.filter(|max| *max < all.len()) else { return (all, None) };
        all.truncate(max);
        let token = all.last().map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        (all, token)
    }
}

fn decode(token: &str) -> Result<String, Ec2Error> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| Ec2Error::new(Code::InvalidNextToken, "The NextToken is none of ours; begin again without it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&str, &str)]) -> Result<Page, Ec2Error> {
        Page::parse(&Params::try_from(pairs)?)
    }

    #[test]
    fn pages_cover_everything_once() {
        let all: Vec<String> = (0..12).map(|n| format!("i-{n:08}")).collect();
        let mut seen = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut pairs = vec![("MaxResults", "5")];
            if let Some(token) = &token {
                pairs.push(("NextToken", token));
            }
            let (part, next) = page(&pairs).unwrap().cut(all.iter().rev().cloned().collect(), Clone::clone);
            seen.extend(part);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn bad_pages_are_refused() {
        assert_eq!(page(&[("MaxResults", "4")]).unwrap_err().code, Code::InvalidParameterValue);
        assert_eq!(page(&[("NextToken", "*")]).unwrap_err().code, Code::InvalidNextToken);
        assert!(!page(&[]).unwrap().is_asked());
    }
}
