//! An error with what lies behind it, in one line, for the log where a request ends.

use std::error::Error;

/// The error's text and its causes' texts, outermost first. A level that repeats the one before it
/// is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let level = inner.to_string();
        if !text.ends_with(&level) {
            text = format!("{text}: {level}");
        }
        cause = inner.source();
    }
    text
}
