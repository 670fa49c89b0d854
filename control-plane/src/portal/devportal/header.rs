//! The pages of one API: what stands above each of them is `devportal/api.html`.

use tidegate_proto::ids::ApiId;

use crate::{
    domain::user::Permission,
    portal::{Frame, route::link, tab::Tab},
};

pub(in crate::portal) static OVERVIEW: Tab = Tab {
    name: "Overview",
    route: "/devportal/apis/{api}",
    needs: &[],
};
pub(super) static DOCUMENTS: Tab = Tab {
    name: "Documents",
    route: "/devportal/apis/{api}/documents",
    needs: &[],
};
pub(super) static SUBSCRIPTIONS: Tab = Tab {
    name: "Subscriptions",
    route: "/devportal/apis/{api}/subscriptions",
    needs: &[Permission::Subscribe],
};
pub(super) static CODE: Tab = Tab {
    name: "Code",
    route: "/devportal/apis/{api}/code",
    needs: &[],
};
pub(super) static CONSOLE: Tab = Tab {
    name: "Console",
    route: "/devportal/apis/{api}/console",
    needs: &[],
};
/// The thumbnail.
pub(super) const THUMBNAIL: &str = "/devportal/apis/{api}/thumbnail";

/// The thumbnail of an API.
pub(super) fn thumbnail(api: &ApiId) -> String {
    link(THUMBNAIL, &[api])
}

/// The tabs that are offered: to anonymous users all of them, so that they sign in on the way.
pub(super) fn tabs(frame: &Frame) -> Vec<&'static Tab> {
    let all = [&OVERVIEW, &DOCUMENTS, &SUBSCRIPTIONS, &CODE, &CONSOLE];
    let is_offered = |tab: &&Tab| {
        frame.actor().is_none() || tab.needs.iter().all(|&permission| frame.may(permission))
    };
    all.into_iter().filter(is_offered).collect()
}
