//! Canonical JSON (RFC 8785): one document, one sequence of bytes.

use serde::Serialize;
use serde_json::{Map, Value};

/// The largest integer that every JSON reader keeps exactly: 2^53 − 1 (RFC 7493, section 2.2).
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Which numbers a document may carry. Integers beyond ±[`MAX_INTEGER`] are never allowed: two different ones
/// could have the same canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Numbers {
    /// Integers only, as in receipts.
    Integers,
    /// Integers and fractions, as in reports.
    Any,
}

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// The value does not serialize to JSON, for example because of a map key that is not a string.
    #[error("the value cannot be written as JSON")]
    Serialize(#[source] serde_json::Error),
    /// An integer that not every reader keeps exactly.
    #[error("the number {number} at `{pointer}` is beyond ±(2^53 − 1)")]
    IntegerTooLarge {
        /// Where it stands, as a JSON pointer (RFC 6901).
        pointer: String,
        /// The number.
        number: String,
    },
    /// A number with a fraction or an exponent where only integers are allowed.
    #[error("the number {number} at `{pointer}` is not an integer")]
    NotAnInteger {
        /// Where it stands, as a JSON pointer (RFC 6901).
        pointer: String,
        /// The number.
        number: String,
    },
}

/// The canonical form of `value` (RFC 8785), after checking its numbers.
///
/// # Errors
///
/// A value that is not JSON, and a number that `numbers` does not allow.
pub fn canonicalize<T>(value: &T, numbers: Numbers) -> Result<Vec<u8>, CanonicalError>
where
    T: Serialize + ?Sized,
{
    let value = serde_json::to_value(value).map_err(CanonicalError::Serialize)?;
    check_value(&value, numbers, &mut String::new())?;
    serde_json_canonicalizer::to_vec(&value).map_err(CanonicalError::Serialize)
}

/// [`canonicalize`] for what is an object already.
pub(crate) fn canonicalize_object(
    members: &Map<String, Value>,
    numbers: Numbers,
) -> Result<Vec<u8>, CanonicalError> {
    check_members(members, numbers, &mut String::new())?;
    serde_json_canonicalizer::to_vec(members).map_err(CanonicalError::Serialize)
}

fn check_value(value: &Value, numbers: Numbers, pointer: &mut String) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => check_number(number, numbers, pointer),
        Value::Object(members) => check_members(members, numbers, pointer),
        Value::Array(items) => {
            let parent = pointer.len();
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                check_value(item, numbers, pointer)?;
                pointer.truncate(parent);
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn check_members(
    members: &Map<String, Value>,
    numbers: Numbers,
    pointer: &mut String,
) -> Result<(), CanonicalError> {
    let parent = pointer.len();
    for (name, member) in members {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        check_value(member, numbers, pointer)?;
        pointer.truncate(parent);
    }
    Ok(())
}

/// From here on RFC 8785 writes a number with an exponent, and every reader takes it for a fraction.
const EXPONENT: f64 = 1e21;

fn check_number(number: &serde_json::Number, numbers: Numbers, pointer: &str) -> Result<(), CanonicalError> {
    let integer = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    match integer {
        Some(magnitude) if magnitude <= MAX_INTEGER => Ok(()),
        None if number.is_f64() => match numbers {
            // Without its exponent or fraction it would be read as the integer that it is.
            Numbers::Any if is_written_as_large_integer(number) => Err(CanonicalError::IntegerTooLarge {
                pointer: pointer.to_owned(),
                number: number.to_string(),
            }),
            Numbers::Any => Ok(()),
            Numbers::Integers => {
                Err(CanonicalError::NotAnInteger { pointer: pointer.to_owned(), number: number.to_string() })
            }
        },
        // With serde_json's `arbitrary_precision` an integer may also be too large for 64 bits.
        Some(_) | None => {
            Err(CanonicalError::IntegerTooLarge { pointer: pointer.to_owned(), number: number.to_string() })
        }
    }
}

fn is_written_as_large_integer(number: &serde_json::Number) -> bool {
    number.as_f64().is_some_and(|number| number.abs() > MAX_INTEGER as f64 && number.abs() < EXPONENT)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn canonical(value: &Value) -> String {
        String::from_utf8(canonicalize(value, Numbers::Any).unwrap()).unwrap()
    }

    #[test]
    fn the_example_of_rfc_8785_section_3_2_2_has_the_bytes_of_section_3_2_4() {
        let input = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = "
            7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72
            75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 72 73 22 3a
            5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31
            65 2b 33 30 2c 34 2e 35 2c 30 2e 30 30 32 2c 31 65 2d 32 37
            5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30
            30 66 5c 6e 41 27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d";
        let expected: Vec<u8> =
            expected.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let value: Value = serde_json::from_str(input).unwrap();
        assert_eq!(canonicalize(&value, Numbers::Any).unwrap(), expected);
    }

    #[test]
    fn a_fraction_that_is_written_as_an_integer_has_the_bounds_of_one() {
        for (text, expected) in
            [("9007199254740991.0", "9007199254740991"), ("-1e21", "-1e+21"), ("1e300", "1e+300")]
        {
            assert_eq!(canonical(&serde_json::from_str(text).unwrap()), expected);
        }
        for text in ["9007199254740992.0", "-8446744073709551510.18", "9e20"] {
            let number: Value = serde_json::from_str(text).unwrap();
            let error = canonicalize(&number, Numbers::Any).unwrap_err();
            assert!(matches!(error, CanonicalError::IntegerTooLarge { .. }), "{text}: {error}");
        }
    }

    #[test]
    fn members_are_sorted_by_utf_16_code_units_as_in_rfc_8785_section_3_2_3() {
        let value: Value = serde_json::from_str(
            r#"{
                "\u20ac": "Euro Sign",
                "\r": "Carriage Return",
                "\ufb33": "Hebrew Letter Dalet With Dagesh",
                "1": "One",
                "\ud83d\ude00": "Emoji: Grinning Face",
                "\u0080": "Control",
                "\u00f6": "Latin Small Letter O With Diaeresis"
            }"#,
        )
        .unwrap();
        let text = canonical(&value);
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let positions: Vec<usize> = order.iter().map(|word| text.find(word).unwrap()).collect();
        assert!(positions.is_sorted(), "{text}");
    }

    #[test]
    fn numbers_look_as_in_rfc_8785_appendix_b() {
        let samples = [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ];
        for (bits, expected) in samples {
            let number = json!(f64::from_bits(bits));
            if expected.parse::<i128>().is_ok_and(|it| it.unsigned_abs() > u128::from(MAX_INTEGER)) {
                let error = canonicalize(&number, Numbers::Any).unwrap_err();
                assert!(matches!(error, CanonicalError::IntegerTooLarge { .. }), "{expected}: {error}");
            } else {
                assert_eq!(canonical(&number), expected, "{bits:#018x}");
            }
        }
    }

    #[test]
    fn integers_are_exact_up_to_two_to_the_53_less_one_and_refused_beyond() {
        for good in [json!(MAX_INTEGER), json!(-(MAX_INTEGER as i64)), json!(0)] {
            assert_eq!(canonical(&good), good.to_string());
        }
        for bad in
            [json!(MAX_INTEGER + 1), json!(-(MAX_INTEGER as i64) - 1), json!(u64::MAX), json!(i64::MIN)]
        {
            for numbers in [Numbers::Integers, Numbers::Any] {
                let document = json!({ "a/b": [1, bad] });
                let error = canonicalize(&document, numbers).unwrap_err();
                assert_eq!(error.to_string(), format!("the number {bad} at `/a~1b/1` is beyond ±(2^53 − 1)"));
            }
        }
    }

    #[test]
    fn fractions_are_refused_where_only_integers_are_allowed() {
        for number in [json!(0.5), json!(7.0), json!(1e300)] {
            let error = canonicalize(&json!({ "n": number }), Numbers::Integers).unwrap_err();
            assert!(
                matches!(&error, CanonicalError::NotAnInteger { pointer, .. } if pointer == "/n"),
                "{error}"
            );
        }
    }
}
