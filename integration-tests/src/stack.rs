//! A whole Tidegate under test: one real control plane and as many data planes as a test wants.

use std::path::Path;

use tempfile::TempDir;

use crate::{
    admin::Admin,
    control_plane::ControlPlane,
    data_plane::{DataPlane, Upstream},
};

/// A running stack. Dropping it ends every process and removes its folder.
#[derive(Debug)]
pub struct Stack {
    /// The data planes, ended first.
    pub data_planes: Vec<DataPlane>,
    /// The control plane.
    pub control_plane: ControlPlane,
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

    /// Starts it and waits until every data plane is ready.
    ///
    /// # Panics
    /// When something does not become ready.
    pub async fn start(self) -> Stack {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let control_plane = ControlPlane::start(folder.path(), &self.control_plane_sets).await;
        let mut data_planes = Vec::new();
        for number in 1..=self.data_planes {
            let upstream = Upstream {
                address: control_plane.ready.gateways,
                ca_cert: control_plane.ready.ca_cert.clone(),
                join_token_file: control_plane.ready.join_token_file.clone(),
            };
            let name = format!("data-plane-{number}");
            let sets = &self.data_plane_sets;
            data_planes.push(DataPlane::start(&name, folder.path(), upstream, sets).await);
        }
        for data_plane in &data_planes {
            data_plane.until_ready().await;
        }
        Stack {
            data_planes,
            control_plane,
            folder,
        }
    }
}
