//! `ironbark-clc`: the cloud controller's command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use ironbark_clc::config::Config;
use ironbark_clc::{init, serve};
use tokio::signal::unix::{SignalKind, signal};

/// The cloud controller of an Ironbark cloud.
#[derive(Parser)]
#[command(name = "ironbark-clc", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the EC2 API until SIGTERM or SIGINT (this is what happens without a command).
    Run,
    /// Make the cloud's identity if it has none, and print its certificate's path.
    Keys {
        /// Make an RSA key instead of ECDSA, for clusters whose SOAP stack needs one (gSOAP).
        #[arg(long)]
        rsa: bool,
    },
    /// Make the records and the first administrator if there are none, and write the
    /// administrator's credentials.
    Init {
        /// Where to write eucarc, cert.pem and key.pem.
        #[arg(long, value_name = "DIR")]
        credentials: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ironbark_wsdl::log::init();
    match perform(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ironbark-clc: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    match arguments.command.as_ref().unwrap_or(&Command::Run) {
        Command::Keys { rsa } => {
            if *rsa {
                serve::rsa_identity(&config)?;
            } else {
                serve::identity(&config)?;
            }
            println!("{}", config.state_dir.join("cert.pem").display());
            Ok(())
        }
        Command::Init { credentials } => {
            runtime.block_on(init::init(&config, credentials))?;
            println!("credentials of {} are in {}: source its eucarc", init::ADMIN, credentials.display());
            Ok(())
        }
        Command::Run => runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
            let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
            let stop = async {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            };
            serve::run(&config, stop).await
        }),
    }
}
