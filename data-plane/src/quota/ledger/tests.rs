//! What Redis's errors are said to mean.

use redis::{RedisError, Value, parse_redis_value};

use super::{check_version, explain};

/// An error as it comes over the wire.
fn error(line: &str) -> RedisError {
    let answer = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
    answer.extract_error().unwrap_err()
}

#[test]
fn each_trouble_is_named_in_words_whichever_version_tells_of_it() {
    for (line, words) in [
        ("NOAUTH Authentication required.", "another password"),
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            "another password",
        ),
        (
            "READONLY You can't write against a read only replica.",
            "read-only replica",
        ),
        // As Redis 6.2 tells of what went wrong within a script.
        (
            "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -READONLY You can't write against \
             a read only replica.",
            "read-only replica",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            "no memory left",
        ),
        (
            "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -OOM command not allowed when used \
             memory > 'maxmemory'.",
            "no memory left",
        ),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "another type",
        ),
        (
            "ERR Error running script (call to f_12): @user_script:17: WRONGTYPE Operation against a key holding the \
             wrong kind of value",
            "another type",
        ),
        (
            "NOPERM this user has no permissions to run the 'evalsha' command",
            "does not let this user",
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            "still loading",
        ),
        ("CLUSTERDOWN The cluster is down", "Cluster is down"),
        ("ERR something else", "cannot be asked"),
    ] {
        let said = explain(&error(line)).to_string();
        assert!(said.contains(words), "{line}: {said}");
    }
}

#[test]
fn what_is_too_old_and_what_is_no_redis_is_refused() {
    let check = |text: &str| check_version(&Value::SimpleString(text.to_owned()));
    let info =
        |version: &str| format!("# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n");
    for version in ["6.2.0", "7.0.15", "10.0.0", "255.255.255"] {
        assert_eq!(check(&info(version)), Ok(()), "{version}");
    }
    for version in ["6.0.20", "5.0.14", "2.8"] {
        let refused = check(&info(version)).unwrap_err().to_string();
        let said = format!("Redis {version} is too old: 6.2 or later is needed");
        assert_eq!(refused, said);
    }
    let refused = check("# Server\r\n").unwrap_err().to_string();
    assert!(refused.contains("no Redis"), "{refused}");
}
