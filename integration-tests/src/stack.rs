//! A whole Tidegate under test: one real control plane and as many data planes as a test wants.

use std::path::Path;

use tempfile::TempDir;

use crate::{
    admin::Admin,
    control_plane::ControlPlane,
    data_plane::{DataPlane, Upstream},
    redis::Redis,
};

/// A running stack. Dropping it ends every process and removes its folder.
#[derive(Debug)]
pub struct Stack {
    /// The data planes, ended first.
    pub data_planes: Vec<DataPlane>,
    /// The control plane.
    pub control_plane: ControlPlane,
    data_plane_sets: Vec<String>,
    folder: TempDir,
}

/// What a stack shall be.
#[derive(Debug, Default)]
pub struct Builder {
    data_planes: usize,
    control_plane_sets: Vec<String>,
    data_plane_sets: Vec<String>,
}

// === impl Stack ===

impl Stack {
    /// A stack of a control plane and one data plane, unless more is said.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            data_planes: 1,
            ..Builder::default()
        }
    }

    /// Signs in as the first admin.
    ///
    /// # Panics
    /// When that is refused.
    pub async fn admin(&self) -> Admin {
        Admin::sign_in(&self.control_plane).await
    }

    /// The first data plane.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn gateway(&self) -> &DataPlane {
        self.data_planes
            .first()
            .expect("the stack has a data plane")
    }

    /// Adds a data plane like the others and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn add_data_plane(&mut self) -> &DataPlane {
        self.add_data_plane_in(&[]).await
    }

    /// Adds a data plane whose clock differs from the machine's by so many seconds.
    ///
    /// # Panics
    /// When it does not become ready, or libfaketime is not installed.
    pub async fn add_data_plane_off_by(&mut self, seconds: i32) -> &DataPlane {
        let library = xtask::test::needs::faketime();
        let library = library.expect("libfaketime is installed: `cargo xtask test` does that");
        let environment = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME", format!("{seconds:+}s")),
            // Only the time of day is off; what measures time is not.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        self.add_data_plane_in(&environment).await
    }

    async fn add_data_plane_in(&mut self, environment: &[(String, String)]) -> &DataPlane {
        let ready = &self.control_plane.ready;
        let upstream = Upstream {
            address: ready.discovery,
            ca_cert: ready.ca_cert.clone(),
            join_token_file: ready.join_token_file.clone(),
        };
        let name = format!("data-plane-{}", self.data_planes.len() + 1);
        let (folder, sets) = (self.folder.path(), &self.data_plane_sets);
        let data_plane = DataPlane::start_in(&name, folder, upstream, sets, environment).await;
        data_plane.until_ready().await;
        self.data_planes.push(data_plane);
        self.data_planes.last().expect("it was just added")
    }

    /// The folder of this test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

// === impl Builder ===

impl Builder {
    /// How many data planes.
    #[must_use]
    pub fn data_planes(mut self, count: usize) -> Self {
        self.data_planes = count;
        self
    }

    /// A setting of the control plane, `key=value`.
    #[must_use]
    pub fn control_plane_set(mut self, set: &str) -> Self {
        self.control_plane_sets.push(set.to_owned());
        self
    }

    /// A setting of every data plane, `key=value`.
    #[must_use]
    pub fn data_plane_set(mut self, set: &str) -> Self {
        self.data_plane_sets.push(set.to_owned());
        self
    }

    /// Every data plane shares its quotas in this Redis.
    #[must_use]
    pub fn redis(self, redis: &Redis) -> Self {
        self.data_plane_set(&format!("ledger.url={}", redis.url()))
    }

    /// Starts it and waits until every data plane is ready.
    ///
    /// # Panics
    /// When something does not become ready.
    pub async fn start(self) -> Stack {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let control_plane = ControlPlane::start(folder.path(), &self.control_plane_sets).await;
        let mut stack = Stack {
            data_planes: Vec::new(),
            control_plane,
            data_plane_sets: self.data_plane_sets,
            folder,
        };
        for _ in 0..self.data_planes {
            stack.add_data_plane().await;
        }
        stack
    }
}
