//! A Docker engine and the base images of Tidegate's images. For `compose-test` and `dist`.

pub(crate) mod engine;
pub(crate) mod images;
