//! The management module of a Hitless switch.

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use hitless::{
    audit,
    backplane::{Backplane, EXIT_REBOOT},
    because::because,
    config_file::{self, banks::Banks},
    fault, heap,
    hw::preflight,
    logbook::{Events, Logbook},
    master::Master,
    module::{Module, Start, primary::Primary, standby, tasks},
    northbound::{
        RUN_DIR,
        access::{Access, Groups},
        api::ModuleRole,
        server::{self, Server},
        socket_path,
    },
    run::{self, End},
};
use hitless_boot::directory;
use hitless_ha::slot::ModuleSlot;
use hitless_proto::config::{Config, ConfigBank};
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    rc::Rc,
};
use tokio::{sync::watch, task::LocalSet};
use tracing::{error, info};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// The management module of a Hitless switch: learns, programs the pinned data path, answers `hitless`.
///
/// The data path needs no process: when hitlessd ends, however it ends, frames go on. The next hitlessd adopts what
/// it finds. `hitless clear hardware` takes the data path down.
#[derive(Parser)]
#[command(version = hitless_common::VERSION)]
struct Arguments {
    /// Configuration file (YAML)
    #[arg(long, value_name = "FILE", default_value = "/etc/hitless/hitless.yaml")]
    config: PathBuf,

    /// Slot of this management module
    #[arg(long, value_name = "SLOT", default_value_t = ModuleSlot::MsmA)]
    slot: ModuleSlot,

    /// Check the configuration file and end
    #[arg(long)]
    check: bool,

    /// Print what this version knows, for the manifest of an image, and end
    #[arg(long)]
    describe: bool,

    /// Print what an image's manifest has of this program: its versions, and what --describe prints; and end
    #[arg(long)]
    manifest: bool,

    /// Group whose members command the switch; root always does [default: hitless, if there is one]
    #[arg(long, value_name = "NAME")]
    admin_group: Option<String>,

    /// Group whose members look at the switch but change nothing [default: hitless-ro, if there is one]
    #[arg(long, value_name = "NAME")]
    read_only_group: Option<String>,

    /// Form of the log on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,

    /// What is logged, as in `info` or `hitless=debug,warn`
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "info",
        env = "HITLESS_LOG"
    )]
    log: String,

    /// Debug log of the data path itself: costs speed while it is on; off is free
    #[arg(long, value_enum, default_value_t = DatapathLog::Off)]
    datapath_log: DatapathLog,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Levels as aya-log counts them.
#[derive(Clone, Copy, ValueEnum)]
enum DatapathLog {
    Off = 0,
    Debug = 4,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.describe {
        print!("{}", hitless::describe::own().lines());
        return ExitCode::SUCCESS;
    }
    if arguments.manifest {
        print!("{}", hitless::describe::manifest());
        return ExitCode::SUCCESS;
    }
    fault::at_start();
    heap::keep_freed();
    let logbook = Logbook::new(arguments.slot);
    if let Err(e) = start_log(&arguments, &logbook) {
        eprintln!("hitlessd: {e:#}");
        return ExitCode::from(2);
    }
    match start(&arguments, &logbook) {
        Ok(code) => code,
        Err(e) => {
            error!("{}", because(e.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn start_log(arguments: &Arguments, logbook: &Logbook) -> Result<()> {
    let mut filter =
        EnvFilter::try_new(&arguments.log).with_context(|| format!("--log {:?}", arguments.log))?;
    if !matches!(arguments.datapath_log, DatapathLog::Off) {
        // Who asks for it wants to see it, whatever else is logged.
        for hook in ["hitless::tc=debug", "hitless::xdp=debug"] {
            filter = filter.add_directive(hook.parse().context("filter of the data path's log")?);
        }
    }
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Who changed what is logged, however little else is.
    let changes = format!("{}=info", audit::TARGET);
    filter = filter.add_directive(changes.parse().context("filter of changes")?);
    let lines = fmt::layer()
        .with_writer(Events::to_stderr)
        .with_target(false)
        .with_ansi(colours);
    let book = logbook.clone();
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        book.write_panic(panic);
        if tasks::survives() {
            default(panic);
        } else {
            // The standby waits for the end of this process: no time to look up a backtrace.
            eprintln!("{panic}");
        }
    }));
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(logbook.clone());
    match arguments.log_format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    }
    .context("start the log")
}

fn start(arguments: &Arguments, logbook: &Logbook) -> Result<ExitCode> {
    let groups = Groups::resolve(
        arguments.admin_group.as_deref(),
        arguments.read_only_group.as_deref(),
    )?;
    if arguments.check {
        let config = config_file::load(&arguments.config)?;
        println!(
            "{}: {} VLANs, {} ports: good",
            arguments.config.display(),
            config.vlans.len(),
            config.ports.len()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let banks = Banks::new(&arguments.config);
    let (_, config) = banks.load_selected()?;
    preflight::check()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?;
    LocalSet::new().block_on(
        &runtime,
        module(
            arguments,
            config,
            banks.selected(),
            Access::new(groups),
            logbook,
        ),
    )
}

/// Runs a module: finds its role, follows a master, is one.
async fn module(
    arguments: &Arguments,
    config: Config,
    bank: ConfigBank,
    access: Access,
    logbook: &Logbook,
) -> Result<ExitCode> {
    let socket = socket_path(Path::new(RUN_DIR), &config.switch);
    let run_dir = socket.parent().context("the run directory")?.to_path_buf();
    directory::make(&run_dir, directory::PASSAGE)
        .with_context(|| format!("make {}", run_dir.display()))?;
    logbook.open(&run_dir);
    let backplane = Backplane::from_env()?.map(Rc::new);
    if let Some(backplane) = &backplane {
        backplane
            .install_panic_hook()
            .context("install the panic hook")?;
    }
    tasks::exit_on_panic();
    let mut module = Module::new(
        arguments.slot,
        config,
        arguments.config.clone(),
        bank,
        run_dir.clone(),
        arguments.datapath_log as u8,
        backplane,
    );
    logbook.set_role(ModuleRole::Standby);
    let start = match standby::find_role(&mut module).await? {
        standby::Ended::Master(start) => start,
        standby::Ended::Stopped => return Ok(ExitCode::SUCCESS),
    };
    logbook.set_role(ModuleRole::Master);
    let (boot, failover) = match start {
        Start::First(dir) => {
            module.open_blackbox(false);
            (module.first(dir), None)
        }
        Start::TakeOver(takeover) => {
            module.open_blackbox(takeover.is_announced());
            let (boot, failover) = module.take_over(*takeover);
            (boot, Some(failover))
        }
    };
    let (master, links) = Master::start(boot).await?;
    let mut primary = Primary::new(&module, &master)?;
    if let Some(failover) = failover {
        module.took_over(failover, &mut primary);
    }
    module.tell_role("master");
    fault::at_mastership();
    master.hardware.follow_datapath_log()?;
    // Only now, as the holder of the switch's lock, may this process take the place of a socket.
    let mut server = Some(control_socket(&socket, &access)?);
    let (to_master, calls) = server::channel();
    let (stop, stopped) = watch::channel(false);
    let path = socket.clone();
    let serve = move || {
        let (server, to_master) = (server.take(), to_master.clone());
        let (mut stopped, path, access) = (stopped.clone(), path.clone(), access.clone());
        async move {
            let server = match server {
                Some(server) => server,
                None => control_socket(&path, &access)?,
            };
            let stop = async move {
                // Sent or dropped: either way it is time.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            server
                .serve(to_master, stop)
                .await
                .context("serve the control socket")
        }
    };
    let line = module.backplane.clone();
    let survived = move || {
        if let Some(line) = &line {
            line.last_words("");
        }
    };
    let serving = tokio::task::spawn_local(tasks::supervise("control socket", serve, survived));
    info!(socket = %socket.display(), slot = %module.slot, version = hitless_common::VERSION, "ready");
    let end = run::run(&mut module, master, primary, links, calls).await?;
    if end == End::Reboot {
        // At once: the standby waits for the end of this process.
        std::process::exit(EXIT_REBOOT);
    }
    drop(stop);
    serving.await.context("the control socket's task")??;
    // Nothing of the switch is left, unless a slot is about to start it anew.
    if end == End::Cleared && module.backplane.is_none() {
        let _ = std::fs::remove_dir_all(&run_dir);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the control socket, and its directory if need be.
fn control_socket(path: &Path, access: &Access) -> Result<Server> {
    if let Some(directory) = path.parent() {
        directory::make(directory, directory::PASSAGE)
            .with_context(|| format!("make {}", directory.display()))?;
    }
    Ok(Server::bind(path, access.clone())?)
}
