//! Artifacts (contract `v2.md`, "Artifacts").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zumik_types::{
    ArtifactId, ArtifactType, CreateArtifactRequest, DeletedArtifact, Extra, List, ObjectType, RetentionClass,
};

use crate::http::call::Call;
use crate::http::error::excerpt;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// `POST /v2/artifacts`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let request = read(&Fields::of(&call.json()?))?;
    Ok(call.app.store.create_artifact(&call.ctx, request, call.key.take()).await?.into())
}

/// `GET /v2/artifacts`
pub(crate) async fn list(call: &mut Call) -> Result<Reply, ApiError> {
    let artifacts = call.app.store.list_artifacts(&call.ctx).await?;
    call.reply(&List::complete(artifacts))
}

/// `GET /v2/artifacts/{artifact_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Artifact)?;
    let artifact = call.app.store.retrieve_artifact(&call.ctx, &id).await?;
    call.reply(&artifact)
}

/// `DELETE /v2/artifacts/{artifact_id}`
pub(crate) async fn delete(call: &mut Call) -> Result<Reply, ApiError> {
    let id: ArtifactId = call.path_id(0, Kind::Artifact)?;
    call.app.store.delete_artifact(&call.ctx, &id).await?;
    call.reply(&DeletedArtifact {
        id,
        object: ObjectType::ArtifactDeleted,
        deleted: true,
        extra: Extra::new(),
    })
}

fn read(fields: &Fields<'_, '_>) -> Result<CreateArtifactRequest, ApiError> {
    let artifact_type = fields.one_of("artifact_type", ArtifactType::KNOWN)?;
    let content = fields.filled_text("content")?;
    if artifact_type == ArtifactType::BinaryAttachment && STANDARD.decode(content).is_err() {
        return Err(
            fields.invalid("content", "must be standard base64, as the content of a 'binary_attachment'")
        );
    }
    let mut request = CreateArtifactRequest::new(artifact_type, content);
    if let Some(media_type) = fields.optional_text("content_media_type")? {
        if !is_media_type(media_type) {
            let problem = format!("must be a media type such as 'text/plain', not '{}'", excerpt(media_type));
            return Err(fields.invalid("content_media_type", problem));
        }
        request = request.content_media_type(media_type);
    }
    if let Some(class) = fields.optional_one_of("retention_class", RetentionClass::KNOWN)? {
        request = request.retention_class(class);
    }
    if let Some(metadata) = fields.optional_map("metadata")? {
        request = request.metadata(metadata);
    }
    Ok(request)
}

/// Whether a text is `type/subtype`, with or without parameters (RFC 9110, section 8.3.1).
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    text.len() <= 255
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype.trim_end()))
        && parameters.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::is_media_type;

    #[test]
    fn a_media_type_is_two_tokens_and_parameters() {
        for good in ["text/plain", "application/vnd.api+json", "text/plain; charset=utf-8", "text/plain ;a=b"]
        {
            assert!(is_media_type(good), "{good}");
        }
        for bad in
            ["", "text", "/", "text/", "/plain", "text/pl ain", "text/plain/x", "t\u{e4}xt/plain", "a/b;\n"]
        {
            assert!(!is_media_type(bad), "{bad}");
        }
    }
}
