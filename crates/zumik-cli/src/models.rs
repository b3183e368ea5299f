//! `zumik models`: what a server can be asked for.

use crate::args::ModelsArgs;
use crate::client::client;
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::term::{self, Screen};

pub(crate) async fn run(args: ModelsArgs, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let models = client(&args.client)?.v1().models().list().await.map_err(Failure::call)?;
    if args.json {
        return term::print_json(&models);
    }
    let mut screen = Screen::new(false);
    models.data.iter().try_for_each(|model| screen.line(term::printable(&model.id)))
}
