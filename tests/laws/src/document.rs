/// The generator makes code of a document, the same each time, or says which place of it cannot become code.
pub fn document(input: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(input) else { return };
    match xtask::generated(yaml) {
        Ok(code) => assert_eq!(xtask::generated(yaml).as_ref(), Ok(&code), "two runs give different code"),
        Err(problem) => {
            let (place, what) = problem.split_once(": ").expect("a place and a problem");
            assert!(place.starts_with('#'), "no place: {problem}");
            assert!(what.contains("hint: "), "no way out: {problem}");
        }
    }
}
