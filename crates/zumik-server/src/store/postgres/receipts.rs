//! The keys that sign receipts and reports, and the documents signed with them.

use zeroize::Zeroizing;
use zumik_receipt::SigningKey;
use zumik_types::{
    Diagnostic, DiagnosticId, DiagnosticReport, Extra, ObjectType, ReceiptKey, ReceiptKeyId, ReceiptKeySet,
};

use super::db::{Db, bytes, key};
use crate::store::durable::ids::PublicId as _;
use crate::store::durable::place;
use crate::store::receipt::sign_report;
use crate::store::rules::whole_seconds;
use crate::store::{Kind, ProjectCtx, Result, StoreError};

impl Db<'_, '_> {
    /// Signs a report and keeps it.
    pub(super) async fn create_diagnostic(
        &self,
        ctx: &ProjectCtx,
        report: &DiagnosticReport,
    ) -> Result<Diagnostic> {
        let report = sign_report(report.clone(), &self.signing_key().await?)?;
        let (id, public_id) = self.mint::<DiagnosticId>(ctx);
        let diagnostic = Diagnostic {
            id,
            object: ObjectType::Diagnostic,
            project_id: ctx.project.clone(),
            created_at: whole_seconds(ctx.now),
            report,
            extra: Extra::new(),
        };
        self.run(
            "INSERT INTO diagnostics (public_id, project, record) VALUES ($1, $2, $3)",
            &[&&public_id[..], &self.project(ctx).await?, &serde_json::to_string(&diagnostic)?],
        )
        .await?;
        Ok(diagnostic)
    }

    pub(super) async fn retrieve_diagnostic(
        &self,
        ctx: &ProjectCtx,
        id: &DiagnosticId,
    ) -> Result<Diagnostic> {
        self.one(
            "SELECT record FROM diagnostics WHERE public_id = $1 AND project = $2",
            &[&key(id), &self.project(ctx).await?],
            |row| Ok(serde_json::from_str(row.try_get(0)?)?),
        )
        .await?
        .ok_or_else(|| StoreError::not_found(Kind::Diagnostic, id))
    }

    pub(super) async fn list_receipt_keys(&self) -> Result<ReceiptKeySet> {
        let read = |row: &tokio_postgres::Row| Ok(serde_json::from_str::<ReceiptKey>(row.try_get(0)?)?);
        let keys = self.all("SELECT public_key FROM receipt_keys ORDER BY id DESC", &[], read).await?;
        Ok(ReceiptKeySet { keys, extra: Extra::new() })
    }

    /// The key that signs now: read each time, because another replica may have made a new one.
    pub(super) async fn signing_key(&self) -> Result<SigningKey> {
        self.stored_signing_key().await?.ok_or_else(|| StoreError::internal("there is no signing key"))
    }

    /// The key that signs, made when there is none.
    pub(super) async fn ensure_signing_key(&self) -> Result<SigningKey> {
        match self.stored_signing_key().await? {
            Some(key) => Ok(key),
            None => self.rotate_receipt_key().await,
        }
    }

    async fn stored_signing_key(&self) -> Result<Option<SigningKey>> {
        self.one(
            "SELECT public_id, seed FROM receipt_keys WHERE seed IS NOT NULL ORDER BY id DESC LIMIT 1",
            &[],
            |row| {
                let id: [u8; 16] = bytes(row.try_get(0)?)?;
                let seed = Zeroizing::new(self.env.vault.open(&place("receipt key", &id), row.try_get(1)?)?);
                let seed = Zeroizing::new(bytes(&seed)?);
                Ok(SigningKey::from_seed(ReceiptKeyId::from_key(id), &seed))
            },
        )
        .await
    }

    /// Makes a new signing key; the one before is retired: its public half stays listed.
    pub(super) async fn rotate_receipt_key(&self) -> Result<SigningKey> {
        let id = self.env.mint.ulid(self.env.clock.now()).to_bytes();
        let mut seed = Zeroizing::new([0; 32]);
        self.env.mint.fill(seed.as_mut_slice());
        let key = SigningKey::from_seed(ReceiptKeyId::from_key(id), &seed);
        let sealed = self.env.vault.seal(&*self.env.mint, &place("receipt key", &id), seed.as_slice())?;
        self.run("UPDATE receipt_keys SET seed = NULL", &[]).await?;
        self.run(
            "INSERT INTO receipt_keys (public_id, public_key, seed) VALUES ($1, $2, $3)",
            &[&&id[..], &serde_json::to_string(&key.public_key())?, &sealed],
        )
        .await?;
        Ok(key)
    }
}
