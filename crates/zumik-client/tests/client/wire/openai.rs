//! The operations of `/v1`.

use super::*;

pub(super) async fn check(wire: &mut Wire, zk: &Zumik) {
    generations(wire, zk).await;
    responses(wire, zk).await;
    files_and_batches(wire, zk).await;
}

async fn generations(wire: &mut Wire, zk: &Zumik) {
    let parts = [ChatContentPart::text("Why?"), ChatContentPart::image_url("https://example.com/a.png")];
    let run = ChatTool::function("run").parameters(json_object!({ "type": "object" }));
    wire.check(
        |zk| {
            zk.v1()
                .chat()
                .completions()
                .create("code.fast", [ChatMessage::system("Be brief."), ChatMessage::user(parts)])
                .max_tokens(200)
                .stop(["END"])
                .tools([run])
                .tool_choice(ChatToolChoice::function("run"))
                .response_format(ChatResponseFormat::json_object())
                .session_ref(id::<SessionId>("ses_1"))
                .hints(&AgentHints::new().version("2026-06-01"))
        },
        zk,
    )
    .await;
    wire.check(
        |zk| zk.v1().embeddings().create("embed", ["a", "b"]).encoding_format(EmbeddingEncoding::Base64),
        zk,
    )
    .await;
    wire.check(|zk| zk.v1().models().list(), zk).await;
    wire.check(|zk| zk.v1().models().retrieve("accounts/fireworks/models/llama v4"), zk).await;
}

async fn responses(wire: &mut Wire, zk: &Zumik) {
    wire.check(
        |zk| {
            zk.v1()
                .responses()
                .create("code.fast", "Why did CI fail?")
                .instructions("Be brief.")
                .max_output_tokens(200)
                .metadata(object(json!({ "team": "red" })))
                .hints(&AgentHints::new().version("2026-06-01"))
                .session_ref(id::<SessionId>("ses_1"))
        },
        zk,
    )
    .await;
    wire.check(|zk| zk.v1().responses().retrieve(id::<V1ResponseId>("resp_1")), zk).await;
    wire.check(|zk| zk.v1().responses().delete(id::<V1ResponseId>("resp_1")), zk).await;
    wire.check(|zk| zk.v1().responses().cancel(id::<V1ResponseId>("resp_1")), zk).await;
    wire.check(
        |zk| {
            zk.v1()
                .responses()
                .input_items(id::<V1ResponseId>("resp_1"))
                .order(SortOrder::Desc)
                .limit(2)
                .after("msg_1")
        },
        zk,
    )
    .await;
    wire.check(|zk| zk.v1().responses().input_tokens("How many?").model("code.fast"), zk).await;
    wire.check(|zk| zk.v1().responses().compact("code.fast").input([V1InputItem::user("hi")]), zk).await;
    wire.check(|zk| zk.v1().conversations().create().metadata(json_object!({ "team": "red" })), zk).await;
    wire.check(|zk| zk.v1().conversations().retrieve(id::<ConversationId>("conv_1")), zk).await;
    wire.check(|zk| zk.v1().conversations().delete(id::<ConversationId>("conv_1")), zk).await;
}

async fn files_and_batches(wire: &mut Wire, zk: &Zumik) {
    let file =
        FilePart::bytes("requests.jsonl", "{\"custom_id\":\"r1\"}\n").content_type("application/jsonl");
    wire.check(|zk| zk.v1().files().upload(file).purpose("batch"), zk).await;
    wire.check(
        |zk| {
            zk.v1()
                .files()
                .list()
                .purpose("batch")
                .limit(10)
                .after(id::<FileId>("file-1"))
                .order(SortOrder::Asc)
        },
        zk,
    )
    .await;
    wire.check(|zk| zk.v1().files().retrieve(id::<FileId>("file-1")), zk).await;
    wire.check(|zk| zk.v1().files().delete(id::<FileId>("file-1")), zk).await;
    wire.check(|zk| zk.v1().files().content(id::<FileId>("file-1")), zk).await;
    let metadata = json_object!({ "run": "nightly" });
    wire.check(
        |zk| {
            let batches = zk.v1().batches();
            batches
                .create(id::<FileId>("file-1"), "/v1/chat/completions")
                .completion_window("24h")
                .metadata(metadata)
        },
        zk,
    )
    .await;
    wire.check(|zk| zk.v1().batches().list().limit(3).after(id::<BatchId>("batch_1")), zk).await;
    wire.check(|zk| zk.v1().batches().retrieve(id::<BatchId>("batch_1")), zk).await;
    wire.check(|zk| zk.v1().batches().cancel(id::<BatchId>("batch_1")), zk).await;
}
