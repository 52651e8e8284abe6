//! The cloud controller as a part: what its program runs, with its configuration file and SQLite on disk.

use std::path::Path;

use anyhow::Result;
use ironbark_clc::config::Config;
use ironbark_clc::serve;
use ironbark_tests::talk::told;
use ironbark_wsdl::log;

use super::runtime;

/// Serves `DIRECTORY/clc.toml` until the input ends.
pub fn run(directory: &Path) -> Result<()> {
    log::init();
    let config = Config::load(&directory.join("clc.toml"))?;
    runtime()?.block_on(serve::run(&config, told(|_| String::new())))
}
