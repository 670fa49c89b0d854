//! The stylesheet, the scripts and the pictures of the pages: embedded, named by what is in them, kept by browsers for
//! good. All are below one folder whose name is the hash of all of them, so that modules import one another by `./name`.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        &[$(Asset {
            name: $name,
            kind: $kind,
            content: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/static/", $name)),
        }),*]
    };
}

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Every file of `static/`. A new one is added here.
const ASSETS: &[Asset] = assets! {
    "portal.css": CSS,
    "portal.js": SCRIPT,
    "create.js": SCRIPT,
    "policy.js": SCRIPT,
    "console.js": SCRIPT,
    "favicon.svg": SVG,
};

/// The first 16 digits of the SHA-256 of all names and contents.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    for asset in ASSETS {
        for part in [asset.name, asset.content] {
            digest.update(u64::try_from(part.len()).unwrap_or_default().to_be_bytes());
            digest.update(part);
        }
    }
    digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
});

/// The route of all of them.
pub(super) const ROUTE: &str = "/assets/{version}/{name}";

/// The address of a file of `static/`.
#[must_use]
pub fn url(name: &str) -> String {
    debug_assert!(ASSETS.iter().any(|asset| asset.name == name), "{name}");
    let versioned = ROUTE.replace("{version}", &VERSION);
    versioned.replace("{name}", name)
}

/// Answers a file, when it is asked for by what is in it now.
pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS
        .iter()
        .find(|asset| asset.name == name && version == *VERSION);
    match found {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
            ],
            asset.content,
        )
            .into_response(),
        None => (StatusCode::NOT_FOUND, "not found\n").into_response(),
    }
}
