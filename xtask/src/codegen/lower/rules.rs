//! Defaults and limits, as sentences for the documentation.

use crate::codegen::document::Fields;
use crate::codegen::error::Result;
use crate::codegen::ir::Type;

/// Reads the keywords of defaults and limits of a value of this type.
pub(super) fn rules(fields: &Fields<'_>, ty: &Type) -> Result<Vec<String>> {
    let mut rules = Vec::new();
    let number = |name| fields.get(name).map(|node| node.raw().to_json());
    // That a count is not negative goes without saying.
    let counted = |name| number(name).filter(|least| least != "0");
    let least = if matches!(ty, Type::F64 | Type::I64) { number("minimum") } else { counted("minimum") };
    rules.extend(range(least, number("maximum"), ""));
    rules.extend(range(counted("minLength"), number("maxLength"), " characters"));
    rules.extend(range(counted("minItems"), number("maxItems"), " items"));
    if let Some(pattern) = fields.text("pattern")? {
        rules.push(format!("Matches `{pattern}`."));
    }
    if fields.flag("uniqueItems")? {
        rules.push("No item twice.".to_owned());
    }
    if let Some(default) = fields.get("default") {
        let value = match default.text() {
            Ok(text) if !text.is_empty() => text.to_owned(),
            _ => default.raw().to_json(),
        };
        rules.push(format!("Default: `{value}`."));
    }
    Ok(rules)
}

fn range(least: Option<String>, most: Option<String>, unit: &str) -> Option<String> {
    let counted = !unit.is_empty();
    Some(match (least, most) {
        (None, None) => return None,
        (Some(least), None) if counted && least == "1" => "Not empty.".to_owned(),
        (Some(least), None) => format!("At least {least}{unit}."),
        (None, Some(most)) => format!("At most {most}{unit}."),
        (Some(least), Some(most)) => format!("From {least} to {most}{unit}."),
    })
}
