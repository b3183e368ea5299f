//! `zumik receipt-keys`: the keys that sign receipts and reports, on the data folder itself.

use chrono::{SecondsFormat, Utc};
use zumik_client::types::{Extra, ReceiptKeySet};
use zumik_server::store::sqlite::{ReceiptKeyRecord, Registry};

use crate::args::{ListReceiptKeysArgs, ReceiptKeysCommand, RotateReceiptKeyArgs};
use crate::data;
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::term::{self, FAINT, GOOD, Screen, styled};

pub(crate) fn run(command: ReceiptKeysCommand, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    let data = match &command {
        ReceiptKeysCommand::List(args) => &args.data,
        ReceiptKeysCommand::Rotate(args) => &args.data,
    };
    data::is_all(&data::folder(data)?, "GET /v2/receipt-keys of its server lists the keys")?;
    match command {
        ReceiptKeysCommand::List(args) => list(&args),
        ReceiptKeysCommand::Rotate(args) => rotate(&args),
    }
}

fn list(args: &ListReceiptKeysArgs) -> Result<(), Failure> {
    let keys = read(&data::registry(&args.data)?)?;
    if args.json {
        let keys = keys.into_iter().map(|record| record.key).collect();
        return term::print_json(&ReceiptKeySet { keys, extra: Extra::new() });
    }
    let mut screen = Screen::new(false);
    keys.iter().try_for_each(|record| {
        let status = if record.active { styled(GOOD, "signs").to_string() } else { "retired".to_owned() };
        let made = record.created_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let public = styled(FAINT, &record.key.x);
        screen.line(format_args!("{}  {status:<7}  {made}  {public}", record.key.kid))
    })
}

fn rotate(args: &RotateReceiptKeyArgs) -> Result<(), Failure> {
    let folder = data::folder(&args.data)?;
    let mut registry = data::registry(&args.data)?;
    registry
        .rotate_receipt_key(data::master_key()?, Utc::now())
        .map_err(|error| data::refusal(&error, &folder))?;
    let keys = read(&registry)?;
    let Some(new) = keys.first() else {
        return Err(Failure::failed("the new receipt key cannot be found again"));
    };
    if args.json {
        return term::print_json(&new.key);
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{}  signs from now on", new.key.kid))?;
    match keys.get(1) {
        Some(old) => screen
            .line(format_args!("{}  retired: what it signed still verifies", styled(FAINT, &old.key.kid))),
        None => Ok(()),
    }
}

fn read(registry: &Registry) -> Result<Vec<ReceiptKeyRecord>, Failure> {
    registry
        .receipt_keys()
        .map_err(|error| Failure::because("cannot read the receipt keys of the data folder", &error))
}
