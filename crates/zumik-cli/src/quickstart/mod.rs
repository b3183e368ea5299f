//! `zumik quickstart`: the tour of the API over the files of a folder, every call for real.

mod files;
mod made;
mod meter;
mod report;
mod steps;
mod target;

use zumik_client::Zumik;
use zumik_server::config::UpstreamSettings;

use self::made::Made;
pub(crate) use self::meter::Meter;
use self::report::{FilesSummary, Summary};
use self::steps::{branches, documents, generation, purge, reuse, turns};
use self::target::Target;
use crate::args::QuickstartArgs;
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::signals::Signals;
use crate::term::{self, FAINT, STRONG, Screen, styled};

/// What every step works with.
struct Tour<'a> {
    zk: &'a Zumik,
    screen: &'a mut Screen,
    made: &'a Made,
    traces: generation::Traces,
    steps: u32,
}

impl Tour<'_> {
    /// Begins a step: its number, its name, and the line of Rust that it is about.
    fn title(&mut self, name: &str, code: &str) -> Result<(), Failure> {
        self.steps += 1;
        let name = styled(STRONG, format_args!("{}. {name}", self.steps)).to_string();
        self.screen.line("")?;
        self.screen.line(format_args!("{name}  {}", styled(FAINT, code)))
    }
}

pub(crate) async fn run(args: QuickstartArgs, log: Log) -> Result<(), Failure> {
    let meter = Meter::default();
    logging::start(log, "error", Some(&meter))?;
    let mut signals = Signals::listen()?;
    let mut screen = Screen::new(args.json);
    let target = Target::open(upstream(&args)).await?;
    let made = Made::default();

    let ended = tokio::select! {
        biased;
        () = signals.stop() => Err(Failure::Interrupted),
        ended = hold(&args, &target, &made, &meter, &mut screen) => ended,
    };
    // Whatever happened, nothing is left behind; asked to stop once more, this ends too.
    let closed = tokio::select! {
        biased;
        () = signals.stop() => Err(Failure::Interrupted),
        closed = target.close(&made) => closed,
    };
    let summary = ended?;
    let deleted = closed?;
    if args.json {
        return term::print_json(&summary);
    }
    screen.line("")?;
    match summary.embedded {
        true => screen.line("The server and its folder are gone. To keep one: zumik serve"),
        false => screen
            .line(format_args!("Deleted what the tour made: {}.", term::plural(deleted as u64, "object"))),
    }
}

/// The provider that was named, if one was.
fn upstream(args: &QuickstartArgs) -> Option<UpstreamSettings> {
    let mut settings = UpstreamSettings::new(args.upstream.as_ref()?);
    settings.key_env = args.upstream_key_env.clone();
    settings.models = args.upstream_models.clone();
    Some(settings)
}

/// The tour, from the first file to the sums.
async fn hold(
    args: &QuickstartArgs,
    target: &Target,
    made: &Made,
    meter: &Meter,
    screen: &mut Screen,
) -> Result<Summary, Failure> {
    let found = files::collect(&args.folder, args.max_files as usize, target.prompt_room())?;
    screen.line(format_args!(
        "{}  {}, {}",
        styled(STRONG, "Zumik quickstart"),
        target.description(),
        target.zk.base_url()
    ))?;

    let mut tour = Tour { zk: &target.zk, screen, made, traces: generation::Traces::new(), steps: 0 };
    let tour = &mut tour;
    // Before there is anything to prove: a receipt and the keys that verify it must not come from one answer.
    let keys = tour.zk.receipt_keys().list().await.map_err(Failure::call)?;
    let files = FilesSummary::of(&found);
    let library = documents::upload(tour, found).await?;
    let mut talk = turns::hold(tour, &library).await?;
    let conflict = branches::collide(tour, &mut talk).await?;
    let merge = branches::fork_and_merge(tour, &mut talk).await?;
    let snapshot = branches::pin(tour, &talk).await?;
    let generation = generation::over_snapshot(tour, &talk, &snapshot).await?;
    let diagnostic = reuse::diagnose(tour).await?;
    let purge = purge::purge(tour, &library, &talk, &keys).await?;

    let calls = meter.calls();
    tour.title("What it took", "one tracing span a call")?;
    report::show(tour.screen, &calls)?;
    Ok(Summary {
        object: "quickstart",
        url: target.zk.base_url().to_owned(),
        embedded: target.is_embedded(),
        folder: args.folder.display().to_string(),
        files,
        bundle_id: library.bundle.id.to_string(),
        session_id: talk.session.id.to_string(),
        conflict,
        merge,
        snapshot_id: snapshot.id.to_string(),
        generation,
        diagnostic,
        purge,
        calls,
    })
}
