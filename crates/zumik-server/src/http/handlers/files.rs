//! Files (contract `v1.md`, "Files").

use std::borrow::Cow;

use zumik_types::{DeletedFile, Extra, File, FileId, List, ObjectType, SortOrder};

use crate::http::call::Call;
use crate::http::input::Form;
use crate::http::{ApiError, Reply};
use crate::store::{Answer, FilePage, Kind, NewFile, OUTPUT_PURPOSE};

const LARGEST_LIMIT: u32 = 10_000;

/// Most characters of a purpose.
const LONGEST_PURPOSE: usize = 64;

/// `POST /v1/files`
pub(crate) async fn upload(call: &mut Call) -> Result<Reply, ApiError> {
    let file = read(&call.form().await?)?;
    Ok(call.app.store.upload_file(&call.ctx, file, call.key.take()).await?.into())
}

/// `GET /v1/files`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let query = call.query();
    let page = FilePage {
        purpose: query.text("purpose").map(str::to_owned),
        limit: query.count("limit", 1..=LARGEST_LIMIT)?,
        after: query.after()?,
        order: query.order()?.unwrap_or(SortOrder::Desc),
    };
    let page = call.app.store.list_files(&call.ctx, page).await?;
    call.reply(&List::page(page.data, page.has_more, |file: &File| file.id.as_str()))
}

/// `GET /v1/files/{file_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::File)?;
    let file = call.app.store.retrieve_file(&call.ctx, &id).await?;
    call.reply(&file)
}

/// `DELETE /v1/files/{file_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: FileId = call.path_id(0, Kind::File)?;
    call.app.store.delete_file(&call.ctx, &id).await?;
    call.reply(&DeletedFile { id, object: ObjectType::File, deleted: true, extra: Extra::new() })
}

/// `GET /v1/files/{file_id}/content`
pub(crate) async fn content(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::File)?;
    let body = call.app.store.retrieve_file_content(&call.ctx, &id).await?;
    let content_type = (Cow::Borrowed("content-type"), "text/plain".to_owned());
    Ok(Reply::fresh(Answer { status: 200, trace: call.ctx.trace.clone(), headers: vec![content_type], body }))
}

fn read(form: &Form) -> Result<NewFile, ApiError> {
    let Some(file) = form.part("file") else {
        return Err(ApiError::invalid("file", "The form has no part 'file'."));
    };
    if file.bytes.is_empty() {
        return Err(ApiError::invalid("file", "'file' must not be empty."));
    }
    let purpose = match form.part("purpose") {
        None => "batch",
        Some(part) => match std::str::from_utf8(&part.bytes) {
            Ok("") | Err(_) => {
                return Err(ApiError::invalid("purpose", "'purpose' must be a non-empty text."));
            }
            Ok(purpose) => purpose,
        },
    };
    if purpose.chars().count() > LONGEST_PURPOSE {
        let message = format!("'purpose' must have at most {LONGEST_PURPOSE} characters.");
        return Err(ApiError::invalid("purpose", message));
    }
    if purpose == OUTPUT_PURPOSE {
        let message = format!("'purpose' must not be '{OUTPUT_PURPOSE}', which marks files of the server.");
        return Err(ApiError::invalid("purpose", message));
    }
    let filename = file.file_name.clone().filter(|name| !name.is_empty());
    Ok(NewFile {
        filename: filename.unwrap_or_else(|| "file".to_owned()),
        purpose: purpose.to_owned(),
        content: file.bytes.clone(),
        expires_at: None,
    })
}
