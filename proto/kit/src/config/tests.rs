//! Precedence of the layers, and errors about invalid ones.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;

use super::{load_from, show};
use crate::secret::Secret;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sample {
    node: String,
    listen: Listen,
    names: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Listen {
    ws: String,
    backlog: u32,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            ws: "0.0.0.0:9099".to_owned(),
            backlog: 8,
        }
    }
}

fn sample(file: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Sample, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tidegate.toml");
    fs::write(&path, file).unwrap();
    let env = env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
    let sets: Vec<_> = sets.iter().map(|&s| s.to_owned()).collect();
    load_from(Some(&path), env, &sets).map_err(|e| e.to_string())
}

#[test]
fn the_command_line_overrides_the_environment_the_file_and_the_defaults() {
    let file = "node = 'file'\nlisten.backlog = 1\nnames = ['a']";
    let env = [
        ("TIDEGATE_NODE", "env"),
        ("TIDEGATE_LISTEN__BACKLOG", "2"),
        ("OTHER", "x"),
    ];
    let got = sample(file, &env, &["listen.backlog=3", r#"names=["b", "c"]"#]).unwrap();
    assert_eq!(got.node, "env");
    assert_eq!(got.listen.backlog, 3);
    assert_eq!(got.listen.ws, "0.0.0.0:9099");
    assert_eq!(got.names, ["b", "c"]);
}

#[test]
fn text_that_looks_like_a_number_stays_text_if_the_key_is_text() {
    assert_eq!(
        sample("", &[("TIDEGATE_NODE", "17")], &[]).unwrap().node,
        "17"
    );
    assert_eq!(
        sample("", &[], &["listen.ws=127.0.0.1:0"])
            .unwrap()
            .listen
            .ws,
        "127.0.0.1:0"
    );
    for secret in ["123e4", "1_000", "0x1F", "+7", "1979-05-27", "true", "inf"] {
        let got = sample("", &[("TIDEGATE_NODE", secret)], &[]).unwrap();
        assert_eq!(got.node, secret);
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_layer() {
    let error = sample("nod = 'x'", &[], &[]).unwrap_err();
    assert!(
        error.contains("nod") && error.contains("in file"),
        "{error}"
    );
    let error = sample("", &[("TIDEGATE_LISTEN__PORT", "1")], &[]).unwrap_err();
    assert!(
        error.contains("port") && error.contains("TIDEGATE_LISTEN__PORT"),
        "{error}"
    );
    let error = sample("", &[], &["listen.backlog=many"]).unwrap_err();
    assert!(error.contains("--set listen.backlog"), "{error}");
    let error = sample("", &[], &["listen"]).unwrap_err();
    assert!(error.contains("no `=`"), "{error}");
}

#[test]
fn the_printed_configuration_can_be_read_back_and_hides_secrets() {
    #[derive(serde::Serialize)]
    struct Shown {
        listen: BTreeMap<&'static str, u32>,
        names: Vec<&'static str>,
        node: &'static str,
        password: Secret,
        cert: Option<String>,
    }
    let text = show(&Shown {
        listen: BTreeMap::from([("backlog", 3)]),
        names: vec!["a", "b"],
        node: "one",
        password: Secret::new("hunter2".to_owned()),
        cert: None,
    });
    assert!(text.contains("# cert is not set"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let text = text.replace("password = \"[redacted]\"\n", "");
    let got = sample(&text, &[], &[]).unwrap();
    assert_eq!((got.listen.backlog, got.node.as_str()), (3, "one"));
}

#[test]
fn a_password_that_looks_like_a_number_stays_as_it_is() {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Login {
        password: String,
    }
    for password in [
        "\"quoted\"",
        "'single'",
        "[1]",
        "{a = 1}",
        "[\"p@ss/w:rd\"]?#%25",
        "17",
        " ",
    ] {
        let env = [("TIDEGATE_PASSWORD".to_owned(), password.to_owned())];
        let got: Login = load_from(None, env.into_iter(), &[]).unwrap();
        assert_eq!(got.password, password);
        let set = format!("password={password}");
        let got: Login = load_from(None, std::iter::empty(), &[set]).unwrap();
        assert_eq!(got.password, password);
    }
}

#[test]
fn a_value_never_shows_in_the_name_of_its_layer() {
    let error = sample("", &[], &["admin.password=hunter2"]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}
