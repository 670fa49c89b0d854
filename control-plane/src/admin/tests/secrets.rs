//! Secrets stay where they belong: not in errors, not in lists, not in the log, not in the audit log.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tidegate_proto::admin::v1::{
    ChangePasswordRequest, CreateApplicationKeyRequest, CreateApplicationRequest,
    CreateUserRequest, ListAuditEntriesRequest, SignInRequest,
};
use tracing_subscriber::fmt::MakeWriter;

use super::{ADMIN_PASSWORD, Stage};

/// A log that can be read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_is_in_an_error_in_the_log_or_in_the_audit_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    // For the whole process: tests on other threads have none, and what they register is not asked again.
    tracing::subscriber::set_global_default(subscriber).expect("no other test sets one");
    let stage = Stage::new().await;
    let admin = stage.admin().await;
    let mut told = String::new();

    let wrong = SignInRequest {
        username: "admin".to_owned(),
        password: "hunter2-hunter2".to_owned(),
    };
    told += &format!("{:?}", stage.nobody().sessions().sign_in(wrong).await.err());
    let short = CreateUserRequest {
        user_id: "ann".to_owned(),
        user: None,
        password: "hun2".to_owned(),
    };
    told += &format!("{:?}", admin.users().create_user(short).await.err());
    let change = ChangePasswordRequest {
        name: "users/admin".to_owned(),
        old_password: "hunter2-hunter2".to_owned(),
        new_password: "hunter2-new-hunter2".to_owned(),
    };
    told += &format!("{:?}", admin.users().change_password(change).await.err());
    let stale = stage.with_token(Some("hunter2-token"));
    told += &format!(
        "{:?}",
        stale
            .audit()
            .list_audit_entries(ListAuditEntriesRequest::default())
            .await
            .err()
    );

    let application = CreateApplicationRequest {
        application: Some(tidegate_proto::admin::v1::Application {
            display_name: "Mine".to_owned(),
            ..Default::default()
        }),
    };
    let parent = admin
        .applications()
        .create_application(application)
        .await
        .unwrap()
        .into_inner()
        .name;
    let request = CreateApplicationKeyRequest {
        parent,
        application_key: None,
    };
    let key = admin
        .applications()
        .create_application_key(request)
        .await
        .unwrap()
        .into_inner();
    let entries = admin
        .audit()
        .list_audit_entries(ListAuditEntriesRequest::default())
        .await;
    told += &format!("{:?}", entries.unwrap().into_inner());
    told += &log.text();
    assert!(log.text().contains("tidegate"), "the log caught nothing");
    for secret in ["hunter2", "hun2", ADMIN_PASSWORD, &key.client_secret] {
        assert!(!told.contains(secret), "{secret} is in {told}");
    }
}
