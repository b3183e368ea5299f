//! The keys that sign receipts and reports, and the documents signed with them.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, params};
use ulid::Ulid;
use zeroize::Zeroizing;
use zumik_receipt::SigningKey;
use zumik_types::{
    Diagnostic, DiagnosticId, DiagnosticReport, Extra, ObjectType, ReceiptKey, ReceiptKeyId, ReceiptKeySet,
};

use super::db::Sql;
use super::{Db, OpenError, ReceiptKeyRecord};
use crate::mint::Mint;
use crate::seal::Vault;
use crate::store::durable::ids::PublicId;
use crate::store::durable::place;
use crate::store::receipt::sign_report;
use crate::store::rules::whole_seconds;
use crate::store::{Kind, ProjectCtx, Result, StoreError};

impl Db<'_> {
    /// Signs a report and keeps it.
    pub(super) fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: &DiagnosticReport,
    ) -> Result<Diagnostic> {
        let report = sign_report(report.clone(), &self.signing_key()?)?;
        let (id, key) = self.mint::<DiagnosticId>(ctx);
        let diagnostic = Diagnostic {
            id,
            object: ObjectType::Diagnostic,
            project_id: ctx.project.clone(),
            created_at: whole_seconds(ctx.now),
            report,
            extra: Extra::new(),
        };
        self.run(
            "INSERT INTO diagnostics (public_id, project, record) VALUES (?1, ?2, ?3)",
            params![key, self.project(ctx)?, serde_json::to_string(&diagnostic)?],
        )?;
        Ok(diagnostic)
    }

    pub(super) fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic> {
        let record: String = self
            .one(
                "SELECT record FROM diagnostics WHERE public_id = ?1 AND project = ?2",
                params![id.key(), self.project(ctx)?],
                |row| row.get(0),
            )?
            .ok_or_else(|| StoreError::not_found(Kind::Diagnostic, id))?;
        Ok(serde_json::from_str(&record)?)
    }

    pub(super) fn list_receipt_keys(&self) -> Result<ReceiptKeySet> {
        let texts = self
            .all("SELECT public_key FROM receipt_keys ORDER BY id DESC", [], |row| row.get::<_, String>(0))?;
        let keys =
            texts.iter().map(|text| serde_json::from_str::<ReceiptKey>(text)).collect::<Result<_, _>>()?;
        Ok(ReceiptKeySet { keys, extra: Extra::new() })
    }

    /// Makes a new signing key; the one before is retired: its public half stays listed.
    pub(super) fn rotate_receipt_key(&self, now: DateTime<Utc>) -> Result<()> {
        new_key(&self.env.vault, &*self.env.mint, self.conn, now).map(drop)
    }

    /// The key that signs now. It is read each time, because `zumik receipt-keys rotate` may have made a newer one.
    pub(super) fn signing_key(&self) -> Result<SigningKey> {
        signing_key(self.conn, &self.env.vault)?.ok_or_else(|| StoreError::internal("no key signs receipts"))
    }
}

/// Gives a data folder a signing key when it has none; refuses the one that everybody knows.
pub(super) fn ensure_key(
    conn: &rusqlite::Connection,
    vault: &Vault,
    mint: &dyn Mint,
    now: DateTime<Utc>,
) -> Result<(), OpenError> {
    let key = match signing_key(conn, vault)? {
        Some(key) => key,
        None => new_key(vault, mint, conn, now)?,
    };
    if key.is_test_key() { Err(OpenError::TestKey) } else { Ok(()) }
}

fn signing_key(conn: &rusqlite::Connection, vault: &Vault) -> Result<Option<SigningKey>> {
    let stored = conn
        .query_row(
            "SELECT public_id, seed FROM receipt_keys WHERE seed IS NOT NULL ORDER BY id DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?)),
        )
        .optional()?;
    let Some((id, sealed)) = stored else { return Ok(None) };
    let seed = Zeroizing::new(vault.open(&place("receipt key", &id), &sealed)?);
    let seed = Zeroizing::new(<[u8; 32]>::try_from(seed.as_slice()).map_err(StoreError::internal)?);
    Ok(Some(SigningKey::from_seed(ReceiptKeyId::from_key(id), &seed)))
}

/// Every receipt key of a folder, newest first, with whether it still signs.
pub(super) fn receipt_keys(sql: Sql<'_>) -> Result<Vec<ReceiptKeyRecord>> {
    let rows = sql.all(
        "SELECT public_id, public_key, seed IS NOT NULL FROM receipt_keys ORDER BY id DESC",
        [],
        |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)),
    )?;
    let record = |(id, text, active): ([u8; 16], String, bool)| {
        Ok(ReceiptKeyRecord { key: serde_json::from_str(&text)?, created_at: minted(id), active })
    };
    rows.into_iter().map(record).collect()
}

/// When an id was made, to the millisecond: the first six bytes say it.
fn minted(id: [u8; 16]) -> DateTime<Utc> {
    let millis = Ulid::from_bytes(id).timestamp_ms();
    i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
}

pub(super) fn new_key(
    vault: &Vault,
    mint: &dyn Mint,
    conn: &rusqlite::Connection,
    now: DateTime<Utc>,
) -> Result<SigningKey> {
    let id = mint.ulid(now).to_bytes();
    let mut seed = Zeroizing::new([0; 32]);
    mint.fill(seed.as_mut_slice());
    let key = SigningKey::from_seed(ReceiptKeyId::from_key(id), &seed);
    conn.execute("UPDATE receipt_keys SET seed = NULL", [])?;
    conn.execute(
        "INSERT INTO receipt_keys (public_id, public_key, seed) VALUES (?1, ?2, ?3)",
        params![
            id,
            serde_json::to_string(&key.public_key())?,
            vault.seal(mint, &place("receipt key", &id), seed.as_slice())?
        ],
    )?;
    Ok(key)
}
