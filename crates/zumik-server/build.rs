//! Converts `openapi/zumik.yaml` to the JSON that the server gives at `/openapi.json`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::{Map, Value as Json};
use yaml_serde::Value as Yaml;

fn main() -> Result<(), Box<dyn Error>> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../openapi/zumik.yaml");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let document: Yaml = yaml_serde::from_str(&fs::read_to_string(&source)?)?;
    let target = PathBuf::from(env::var("OUT_DIR")?).join("openapi.json");
    fs::write(target, serde_json::to_vec(&json(document)?)?)?;
    Ok(())
}

fn json(value: Yaml) -> Result<Json, Box<dyn Error>> {
    Ok(match value {
        Yaml::Null => Json::Null,
        Yaml::Bool(flag) => Json::Bool(flag),
        Yaml::Number(number) => serde_json::to_value(number)?,
        Yaml::String(text) => Json::String(text),
        Yaml::Sequence(items) => Json::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(members) => {
            let mut object = Map::new();
            for (name, value) in members {
                object.insert(member_name(&name)?, json(value)?);
            }
            Json::Object(object)
        }
        Yaml::Tagged(tagged) => json(tagged.value)?,
    })
}

/// The name of a member: a status code such as `200` may stand in the file without quotes.
fn member_name(name: &Yaml) -> Result<String, Box<dyn Error>> {
    match name {
        Yaml::String(text) => Ok(text.clone()),
        Yaml::Number(number) => Ok(number.to_string()),
        other => Err(format!("openapi/zumik.yaml: {other:?} cannot be the name of a member").into()),
    }
}
