//! Setting up from the environment. Each case is a run of this binary with an environment of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use zumik_client::Zumik;

/// What the child says about `Zumik::from_env` under these variables.
fn from_env(variables: &[(&str, &str)]) -> String {
    said("environment::child", variables)
}

/// What a test of this file that is the child of others says under these variables.
fn said(child: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([child, "--exact", "--ignored", "--nocapture"]);
    for name in ["ZUMIK_API_KEY", "ZUMIK_BASE_URL"] {
        command.env_remove(name);
    }
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let child = command.envs(variables.iter().copied()).output().unwrap();
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

#[tokio::test]
#[ignore = "the child of the test below"]
async fn calling_child() {
    let zk = Zumik::from_env().unwrap();
    match zk.health().check().max_retries(0).await {
        Ok(health) => println!("from_env: {}", health.status),
        Err(error) => println!("from_env: {error}"),
    }
}

/// Takes one connection of a SOCKS client, answers one request on it, and gives the host that was asked for by name.
fn serve_socks(mut client: TcpStream) -> String {
    let methods = take(&mut client, 2)[1];
    take(&mut client, methods.into());
    client.write_all(&[5, 0]).unwrap();
    let asked = take(&mut client, 5);
    assert_eq!(asked[..4], [5, 1, 0, 3], "connect, by a name");
    let host = take(&mut client, asked[4].into());
    take(&mut client, 2);
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.extend(take(&mut client, 1));
    }
    client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}").unwrap();
    String::from_utf8(host).unwrap()
}

fn take(client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut taken = vec![0; bytes];
    client.read_exact(&mut taken).unwrap();
    taken
}

#[test]
fn a_socks_proxy_of_the_environment_is_honored() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("socks5h://{}", proxy.local_addr().unwrap());
    let serving = thread::spawn(move || serve_socks(proxy.accept().unwrap().0));
    let variables = [
        ("ZUMIK_API_KEY", "zk_test_x"),
        ("ZUMIK_BASE_URL", "http://zumik.invalid"),
        ("ALL_PROXY", address.as_str()),
    ];
    assert_eq!(said("environment::calling_child", &variables), "ok");
    assert_eq!(serving.join().unwrap(), "zumik.invalid");
}
