use std::collections::HashSet;

use serde_json::Value;
use zumik_server::fuzzing::{BatchFile, batch_file};

const ENDPOINT: &str = "/v1/chat/completions";

/// Every line of a batch file is counted, and is either a request or at fault; the requests lie in the file, in its order,
/// each under a name of its own. A file that is written of them is read as the same.
pub fn batch(input: &[u8]) {
    let file = batch_file(input, ENDPOINT);
    let lines: Vec<_> = input.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let filled = lines.iter().filter(|line| !line.is_empty()).count();
    assert_eq!(file.total, filled as u64);
    if filled == 0 {
        assert_eq!((file.requests.len(), file.faults.len()), (0, 1));
        return;
    }
    let at_fault = filled - file.requests.len();
    assert_eq!(file.faults.len(), at_fault.min(100), "not every line is a request or at fault");
    let mut places: Vec<usize> = Vec::new();
    for (code, place) in &file.faults {
        assert!(!code.is_empty());
        places.push(usize::try_from(place.expect("a fault has its line")).expect("a line") - 1);
    }
    assert!(places.iter().all(|place| !lines[*place].is_empty()));
    assert!(places.is_sorted_by(|one, next| one < next));

    let mut names = HashSet::new();
    let mut end = 0;
    for (range, request) in &file.requests {
        assert!(range.start >= end && range.end <= input.len());
        end = range.end;
        let (name, body) = request.as_ref().expect("a line without a fault is a request");
        assert!(names.insert(name), "two lines have the name {name:?}");
        assert!((1..=256).contains(&name.chars().count()));
        let line = std::str::from_utf8(&input[range.clone()]).expect("a request is text");
        assert!(line.contains(body.as_str()), "the body is not in its line");
        let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        assert_ne!(body["stream"], Value::Bool(true));
    }
    let written: String = requests(&file)
        .map(|(name, body)| {
            let name = Value::from(name);
            format!("{{\"custom_id\":{name},\"method\":\"POST\",\"url\":\"{ENDPOINT}\",\"body\":{body}}}\n")
        })
        .collect();
    // A body may stand on one line with carriage returns, which end no line here.
    let again = batch_file(written.as_bytes(), ENDPOINT);
    assert!(requests(&again).eq(requests(&file)), "a file that was written is read as another");
}

fn requests(file: &BatchFile) -> impl Iterator<Item = (&str, &str)> {
    let requests = file.requests.iter().filter_map(|(_, request)| request.as_ref());
    requests.map(|(name, body)| (name.as_str(), body.as_str()))
}
