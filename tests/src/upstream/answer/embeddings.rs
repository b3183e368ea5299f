//! Embeddings: a vector of unit length that depends on the text alone.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Turn;

/// Numbers of a vector when nothing else is asked for.
const DIMENSIONS: usize = 8;

pub(super) fn embeddings(turn: &Turn<'_>) -> Value {
    let asked = turn.asked;
    let dimensions = asked["dimensions"].as_u64().map_or(DIMENSIONS, |dimensions| dimensions as usize);
    let embedding = |(index, input): (usize, &Value)| {
        let vector = vector(&input.to_string(), dimensions);
        let embedding =
            if asked["encoding_format"] == "base64" { base64(&vector).into() } else { json!(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    };
    let data: Vec<Value> = inputs(&asked["input"]).iter().enumerate().map(embedding).collect();
    let tokens = turn.input_tokens();
    json!({
        "object": "list",
        "data": data,
        "model": turn.model(),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    })
}

/// The inputs one by one. A list of numbers is one input of tokens.
fn inputs(input: &Value) -> Vec<Value> {
    match input.as_array() {
        Some(items) if !items.iter().all(Value::is_number) => items.clone(),
        _ => vec![input.clone()],
    }
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut random =
        fastrand::Rng::with_seed(text.bytes().fold(7, |seed, byte| seed * 31 % 1_000_003 + u64::from(byte)));
    let vector: Vec<f32> = (0..dimensions).map(|_| random.f32() - 0.5).collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.into_iter().map(|number| number / length).collect()
}

fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}
