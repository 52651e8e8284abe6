//! `euca`: the command line for users and administrators. `euca describe-instances` and, through a
//! link of that name, `euca-describe-instances` are the same. It knows the cloud's EC2 Query door
//! and nothing else; every command is one signed request, or a few.

mod commands;
mod connection;
mod output;
mod sigv4;
mod tls;
mod tree;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

/// Talks to an Ironbark cloud, or to any EC2-like one, in the manner of euca2ools.
#[derive(Parser)]
#[command(name = "euca", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    connection: connection::Settings,
    /// How to print answers: `text` for people and for scripts made for euca2ools, `json` for others.
    #[arg(long, global = true, value_name = "FORM", default_value = "text", env = "EUCA_OUTPUT")]
    output: output::Form,
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse_from(spread_name(std::env::args_os()));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("euca: error: no runtime can be made: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(cli.command, &cli.connection, cli.output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, however deep the cause.
            eprintln!("euca: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Called as `euca-describe-instances`, the name's own tail is the command.
fn spread_name(mut arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let program = arguments.next().unwrap_or_else(|| "euca".into());
    let name = Path::new(&program).file_name().and_then(|name| name.to_str()).unwrap_or("euca");
    let mut spread = vec![OsString::from("euca")];
    if let Some(command) = name.strip_prefix("euca-") {
        spread.push(command.into());
    }
    spread.extend(arguments);
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_link_names_its_command() {
        let spread = spread_name(["/usr/bin/euca-run-instances", "-n", "2"].into_iter().map(OsString::from));
        assert_eq!(spread, ["euca", "run-instances", "-n", "2"]);
        let plain = spread_name(["target/debug/euca", "version"].into_iter().map(OsString::from));
        assert_eq!(plain, ["euca", "version"]);
    }
}
