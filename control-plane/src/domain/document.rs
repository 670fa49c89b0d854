//! Documents of an API: texts and links that developers read.

use http::Uri;
use tidegate_proto::ids::{ApiId, DocumentId};

use super::{
    invalid::{Rule, reason},
    meta::ResourceMeta,
    name::{DocumentName, UserName, free_text},
};

/// How many documents an API may have.
pub const DOCUMENTS_MAX: usize = 50;

/// A text or a link about an API. All who see the API see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The id.
    pub id: DocumentId,
    /// The API.
    pub api: ApiId,
    /// The name, unique in the API but for letter case.
    pub name: DocumentName,
    /// What is in it.
    pub summary: String,
    /// What it is.
    pub kind: DocumentKind,
    /// What it says, or where that is.
    pub content: DocumentContent,
    /// Who added it, by name.
    pub created_by: UserName,
    /// When it was created and last changed, and its etag.
    pub meta: ResourceMeta,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// How something is done.
    HowTo,
    /// Samples and development kits.
    Samples,
    /// A forum for everybody.
    PublicForum,
    /// A forum where its makers help.
    SupportForum,
    /// Anything else.
    Other,
}

/// What a document says, or where that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentContent {
    /// Markdown as it was sent: the surface that shows it sanitises it.
    Markdown(String),
    /// An `http://` or `https://` URL.
    Link(String),
}

const MARKDOWN_MAX: usize = 100_000;
const LINK_MAX: usize = 2000;

// === impl DocumentKind ===

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::HowTo,
        Self::Samples,
        Self::PublicForum,
        Self::SupportForum,
        Self::Other,
    ];

    /// The name, as filters and the admin API write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HowTo => "HOW_TO",
            Self::Samples => "SAMPLES",
            Self::PublicForum => "PUBLIC_FORUM",
            Self::SupportForum => "SUPPORT_FORUM",
            Self::Other => "OTHER",
        }
    }

    /// Reads a kind by its name; `None` when there is no such kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

// === impl DocumentContent ===

impl DocumentContent {
    /// Reads Markdown.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn markdown(text: &str) -> Result<Self, Rule> {
        if text.trim().is_empty() {
            return Err(Rule::new(reason::REQUIRED, "must not be empty"));
        }
        free_text(text, MARKDOWN_MAX).map(Self::Markdown)
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn link(text: &str) -> Result<Self, Rule> {
        let malformed = |description: &str| Rule::new(reason::MALFORMED, description);
        if text.len() > LINK_MAX {
            let rule = format!("must have at most {LINK_MAX} characters");
            return Err(Rule::new(reason::TOO_LONG, rule));
        }
        // The parser drops a fragment unread.
        if !text
            .chars()
            .all(|c| c.is_ascii_graphic() && !"\"<>\\".contains(c))
        {
            return Err(malformed(
                "must be a URL in visible ASCII; encode the rest by `%`",
            ));
        }
        let has_scheme = |scheme: &str| {
            let head = text.get(..scheme.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(scheme))
        };
        if !has_scheme("http://") && !has_scheme("https://") {
            let rule = "must begin with http:// or https://";
            return Err(Rule::new(reason::SCHEME_NOT_ALLOWED, rule));
        }
        let uri = text.parse::<Uri>().ok();
        let uri = uri.filter(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        let Some(uri) = uri else {
            let rule = "must be a URL, for example https://example.org/guide";
            return Err(malformed(rule));
        };
        if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(malformed("must not contain credentials (`user@`)"));
        }
        Ok(Self::Link(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::DocumentContent;
    use crate::domain::invalid::reason;

    #[test]
    fn links_lead_to_the_web_and_nowhere_else() {
        for good in [
            "https://example.org",
            "http://example.org:8080/a?b=c#d",
            "HTTPS://example.org/%C3%A9",
        ] {
            let link = DocumentContent::link(good);
            assert_eq!(link, Ok(DocumentContent::Link(good.to_owned())), "{good}");
        }
        let long = format!("https://example.org/{}", "x".repeat(2000));
        for (bad, expected) in [
            ("javascript:alert(1)", reason::SCHEME_NOT_ALLOWED),
            (
                "javascript://example.org/%0aalert(1)",
                reason::SCHEME_NOT_ALLOWED,
            ),
            ("data:text/html,x", reason::SCHEME_NOT_ALLOWED),
            ("ftp://example.org", reason::SCHEME_NOT_ALLOWED),
            ("//example.org", reason::SCHEME_NOT_ALLOWED),
            ("/guide", reason::SCHEME_NOT_ALLOWED),
            ("", reason::SCHEME_NOT_ALLOWED),
            ("https://", reason::MALFORMED),
            ("https://ann:secret@example.org", reason::MALFORMED),
            ("https://example.org/a b", reason::MALFORMED),
            ("https://example.org/#\"><script>", reason::MALFORMED),
            (&long, reason::TOO_LONG),
        ] {
            let refused = DocumentContent::link(bad).unwrap_err();
            assert_eq!(refused.reason, expected, "{bad}");
        }
    }
}
