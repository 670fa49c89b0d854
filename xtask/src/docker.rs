//! A Docker engine and the images that Tidegate's are built from, on whatever machine this is. For `compose-test` and
//! `dist`.

pub(crate) mod engine;
pub(crate) mod images;
