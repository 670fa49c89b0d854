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
        (
            "NOAUTH Authentication required.",
            "NOAUTH: Redis wants a password: set `ledger.password`",
        ),
        (
            "WRONGPASS invalid username-password pair or user is disabled.",
            "WRONGPASS: Redis does not take this user and password: check `ledger.password`",
        ),
        (
            "READONLY You can't write against a read only replica.",
            "READONLY: Redis is a read-only replica",
        ),
        // As Redis 6.2 tells of what went wrong within a script.
        (
            "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -READONLY You can't write against \
             a read only replica.",
            "READONLY: Redis is a read-only replica",
        ),
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            "OOM: Redis has no memory left",
        ),
        (
            "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -OOM command not allowed when used \
             memory > 'maxmemory'.",
            "OOM: Redis has no memory left",
        ),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "WRONGTYPE: a key of Tidegate's has another type",
        ),
        (
            "ERR Error running script (call to f_12): @user_script:17: WRONGTYPE Operation against a key holding the \
             wrong kind of value",
            "WRONGTYPE: a key of Tidegate's has another type",
        ),
        (
            "NOPERM this user has no permissions to run the 'evalsha' command",
            "NOPERM: Redis does not let this user",
        ),
        (
            "LOADING Redis is loading the dataset in memory",
            "LOADING: Redis is still loading",
        ),
        (
            "CLUSTERDOWN The cluster is down",
            "CLUSTERDOWN: the Redis Cluster is down",
        ),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "MASTERDOWN: Redis is a replica that has lost its master",
        ),
        (
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "MISCONF: Redis takes no writes because it cannot save its data",
        ),
        (
            "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -MISCONF Redis is configured to \
             save RDB snapshots",
            "MISCONF: ",
        ),
        (
            "NOREPLICAS Not enough good replicas to write.",
            "NOREPLICAS: ",
        ),
        (
            "UNKNOWNWORD whatever it is",
            "UNKNOWNWORD: Redis refuses: whatever it is",
        ),
        (
            "ERR something else",
            "ERR: Redis request failed: something else",
        ),
    ] {
        let said = explain(&error(line)).to_string();
        assert!(said.starts_with(words), "{line}: {said}");
    }
}

#[test]
fn what_a_server_says_is_told_on_one_short_line_and_never_what_it_repeats_of_a_command() {
    let long = format!("ERR {}", "x".repeat(10_000));
    let strange = format!("{} y", "Z".repeat(10_000));
    let broken = "ERR one\x1b[31m two\ttabs";
    let repeated =
        "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2'";
    let wrong = "WRONGPASS no hunter2 here";
    for line in [&long, &strange, broken, repeated, wrong] {
        let said = explain(&error(line)).to_string();
        assert!(said.chars().count() <= 400, "{said}");
        assert!(!said.chars().any(char::is_control), "{said:?}");
        assert!(!said.contains("hunter2"), "{said}");
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
