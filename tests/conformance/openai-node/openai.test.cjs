// The `openai` package for Node as its users have it: only base URL and key (`OPENAI_BASE_URL`, `OPENAI_API_KEY`) are
// ours. The server has the tests' model provider behind it; what that is to do stands behind the model's name.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const OpenAI = require("openai");

const client = new OpenAI({ maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "Is this loop off by one?" }];
const answer = "You said: Is this loop off by one?";
const tool = { name: "run_tests", parameters: { type: "object", properties: { path: { type: "string" } } } };

test("a completion is the model's, under the requested name", async () => {
  const { data, response } = await client.chat.completions.create({ model: "code.fast", messages }).withResponse();
  assert.equal(data.model, "code.fast");
  assert.equal(data.choices[0].message.content, answer);
  assert.equal(response.headers.get("agent-execution-mode"), "live");
});

test("a stream gives the whole text and its usage", async () => {
  const stream_options = { include_usage: true };
  const stream = await client.chat.completions.create({ model: "code.fast", messages, stream: true, stream_options });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, answer);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});

test("a tool is called, streamed, and its result taken", async () => {
  const tools = [{ type: "function", function: tool }];
  const first = client.chat.completions.stream({ model: "gpt-test", messages, tools });
  const { message } = (await first.finalChatCompletion()).choices[0];
  const [call] = message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { path: "tests/" });
  const result = { role: "tool", tool_call_id: call.id, content: "3 passed" };
  const second = await client.chat.completions.create({
    model: "gpt-test",
    messages: [...messages, message, result],
    tools,
  });
  assert.equal(second.choices[0].message.content, "You said: 3 passed");
});

test("embeddings in the default base64 are the numbers of the plain form", async () => {
  const request = { model: "embedding-test", input: ["first chunk", "second chunk"] };
  const byDefault = await client.embeddings.create(request);
  const plain = await client.embeddings.create({ ...request, encoding_format: "float" });
  for (const [index, { embedding }] of byDefault.data.entries()) {
    assert.deepEqual(embedding, plain.data[index].embedding.map(Math.fround));
  }
});

test("a response is streamed, stored and deleted", async () => {
  const stream = await client.responses.create({ model: "code.balanced", input: "Review the patch.", stream: true });
  let last;
  for await (const event of stream) last = event;
  assert.equal(last.type, "response.completed");
  assert.equal(last.response.output_text ?? last.response.output[0].content[0].text, "You said: Review the patch.");
  assert.equal((await client.responses.retrieve(last.response.id)).status, "completed");
  await client.responses.delete(last.response.id);
  await assert.rejects(client.responses.retrieve(last.response.id), OpenAI.NotFoundError);
});

test("a response calls a function and takes its result", async () => {
  const model = "gpt-test";
  const tools = [{ type: "function", ...tool, strict: false }];
  const question = { role: "user", content: "Run the tests." };
  const first = await client.responses.create({ model, input: [question], tools });
  const [call] = first.output;
  assert.deepEqual([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "run_tests", { path: "tests/" }]);
  const result = { type: "function_call_output", call_id: call.call_id, output: "3 passed" };
  const second = await client.responses.create({ model, input: [question, call, result], tools });
  assert.equal(second.output_text, "You said: 3 passed");
});

test("a file comes back as it was", async () => {
  const content = Buffer.from("not a request\n");
  const file = await client.files.create({ file: await OpenAI.toFile(content, "notes.txt"), purpose: "user_data" });
  assert.deepEqual([file.bytes, file.filename, file.purpose], [content.length, "notes.txt", "user_data"]);
  assert.deepEqual(await client.files.waitForProcessing(file.id, { maxWait: 0 }), file);
  const listed = [];
  for await (const entry of client.files.list({ purpose: "user_data" })) listed.push(entry.id);
  assert.deepEqual(listed, [file.id]);
  assert.deepEqual(Buffer.from(await (await client.files.content(file.id)).arrayBuffer()), content);
  assert.equal((await client.files.delete(file.id)).deleted, true);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test("conversations and models", async () => {
  const conversation = await client.conversations.create({ metadata: { topic: "patch-review" } });
  assert.deepEqual(await client.conversations.retrieve(conversation.id), conversation);
  assert.equal((await client.conversations.delete(conversation.id)).deleted, true);
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes("code.fast") && ids.includes("vendor/gpt-test"));
  assert.equal((await client.models.retrieve("vendor/gpt-test")).id, "vendor/gpt-test");
});

test("a batch runs to its end", async () => {
  const line = (id) => ({
    custom_id: id,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: "code.fast", messages },
  });
  const content = ["r1", "r2"].map((id) => JSON.stringify(line(id)) + "\n").join("");
  const file = await client.files.create({
    file: await OpenAI.toFile(Buffer.from(content), "requests.jsonl"),
    purpose: "batch",
  });
  let batch = await client.batches.create({
    input_file_id: file.id,
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  });
  const deadline = Date.now() + 30_000;
  while (!["completed", "failed"].includes(batch.status)) {
    assert.ok(Date.now() < deadline, batch.status);
    await new Promise((resume) => setTimeout(resume, 20));
    batch = await client.batches.retrieve(batch.id);
  }
  assert.equal(batch.status, "completed");
  const output = await (await client.files.content(batch.output_file_id)).text();
  const ids = output.trimEnd().split("\n").map((line) => JSON.parse(line).custom_id);
  assert.deepEqual(ids.sort(), ["r1", "r2"]);
});

test("refusals are the classes that users catch", async () => {
  const ask = (options) => client.chat.completions.create({ model: "gpt-test", messages, ...options });
  await assert.rejects(ask({ messages: [] }), OpenAI.BadRequestError);
  await assert.rejects(ask({ model: "gpt-test?status=429" }), OpenAI.RateLimitError);
  await assert.rejects(ask({ model: "gpt-test?status=500" }), OpenAI.InternalServerError);
  const stranger = client.withOptions({ apiKey: `zk_live_${"0".repeat(32)}` });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await assert.rejects(ask({ temperature: 9 }), { status: 400, param: "temperature", type: "invalid_request_error" });
  await assert.rejects(ask({ model: "gpt-test?status=422" }), OpenAI.UnprocessableEntityError);
});

test("a client that aborts a stream ends it", async () => {
  const stream = await client.chat.completions.create({ model: "gpt-test?fault=stall:3", messages, stream: true });
  let chunks = 0;
  for await (const _ of stream) {
    chunks += 1;
    if (chunks === 3) break;
  }
  assert.equal(chunks, 3);
});
