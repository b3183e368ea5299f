//! Setting up from the environment. Each case is a run of this binary with an environment of its own.

use std::process::Command;

use zumik_client::Zumik;

/// What the child says about `Zumik::from_env` under these variables.
fn from_env(variables: &[(&str, &str)]) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["environment::child", "--exact", "--ignored", "--nocapture"])
        .env_remove("ZUMIK_API_KEY")
        .env_remove("ZUMIK_BASE_URL")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    output.lines().find_map(|line| line.split_once("from_env: ")).unwrap().1.to_owned()
}

#[test]
#[ignore = "the child of the tests below"]
fn child() {
    match Zumik::from_env() {
        Ok(zk) => println!("from_env: {}", zk.base_url()),
        Err(error) => println!("from_env: {} {error}", error.kind()),
    }
}

#[test]
fn key_and_server_come_from_the_environment() {
    assert_eq!(from_env(&[("ZUMIK_API_KEY", "zk_test_x")]), "https://api.zumik.ai");
    let local = [("ZUMIK_API_KEY", "zk_test_x\n"), ("ZUMIK_BASE_URL", "http://127.0.0.1:8787/")];
    assert_eq!(from_env(&local), "http://127.0.0.1:8787");
}

#[test]
fn a_missing_key_is_an_error_before_the_first_call() {
    let expected = "config no API key: set the variable ZUMIK_API_KEY, or give one to the builder";
    assert_eq!(from_env(&[]), expected);
    assert_eq!(from_env(&[("ZUMIK_API_KEY", "  ")]), expected);
}

#[test]
fn a_base_url_that_cannot_be_used_is_an_error_before_the_first_call() {
    let bad = [("ZUMIK_API_KEY", "zk_test_x"), ("ZUMIK_BASE_URL", "https://api.zumik.ai/v1")];
    assert!(
        from_env(&bad)
            .starts_with("config the base URL 'https://api.zumik.ai/…' cannot be used: it must not end")
    );
}
