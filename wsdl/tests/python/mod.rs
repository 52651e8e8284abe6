//! Finds a Python with a module that a test needs, or says loudly that it was not found.

use std::process::{Command, Stdio};

/// The interpreter to use, if it can import `module`.
pub fn with_module(module: &str) -> Option<String> {
    let python = std::env::var("IRONBARK_PYTHON").unwrap_or_else(|_| "python3".to_string());
    let tried = Command::new(&python)
        .args(["-c", &format!("import {module}")])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => Some(python),
        Ok(_) | Err(_) => {
            eprintln!("SKIPPED: '{python}' has no module {module}; set IRONBARK_PYTHON to one that has");
            None
        }
    }
}
