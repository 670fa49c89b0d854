//! The picture of an API. Kept apart from the API, so that lists of APIs stay small.

use std::fmt;

use bytes::Bytes;
use imagesize::ImageType;
use tidegate_proto::ids::ApiId;

use super::{
    invalid::{Rule, reason},
    time::Timestamp,
};

/// The bytes that a picture may have.
pub const BYTES_MAX: usize = 256 * 1024;
/// How many pixels a picture may be wide and high: a small file can hold a picture that fills the memory of whoever
/// opens it.
const SIDE_MAX: usize = 4096;

/// The picture of an API.
#[derive(Clone, PartialEq, Eq)]
pub struct Thumbnail {
    /// The API.
    pub api: ApiId,
    /// What the bytes are.
    pub format: ImageFormat,
    /// The picture.
    pub image: Bytes,
    /// A digest of the picture: another one for another picture.
    pub etag: String,
    /// When it was set.
    pub set_at: Timestamp,
}

/// A format of pictures that every browser shows and that cannot hold a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
    /// GIF.
    Gif,
}

impl fmt::Debug for Thumbnail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thumbnail")
            .field("api", &self.api)
            .field("format", &self.format)
            .field("bytes", &self.image.len())
            .field("etag", &self.etag)
            .field("set_at", &self.set_at)
            .finish()
    }
}

// === impl ImageFormat ===

impl ImageFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Webp, Self::Gif];

    /// The media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    /// Finds out what a picture is by its own bytes, whatever its sender calls it.
    ///
    /// # Errors
    /// When it is none of these, too large, or has no size that can be read.
    pub fn of(image: &[u8]) -> Result<Self, Rule> {
        if image.is_empty() {
            return Err(Rule::new(reason::REQUIRED, "must not be empty"));
        }
        if image.len() > BYTES_MAX {
            let rule = format!("must have at most {BYTES_MAX} bytes");
            return Err(Rule::new(reason::TOO_LONG, rule));
        }
        let format = match imagesize::image_type(image) {
            Ok(ImageType::Png) => Self::Png,
            Ok(ImageType::Jpeg) => Self::Jpeg,
            Ok(ImageType::Webp) => Self::Webp,
            Ok(ImageType::Gif) => Self::Gif,
            _ => {
                let rule = "must be a picture in the format PNG, JPEG, WebP or GIF";
                return Err(Rule::new(reason::MALFORMED, rule));
            }
        };
        let side = 1..=SIDE_MAX;
        match imagesize::blob_size(image) {
            Ok(size) if side.contains(&size.width) && side.contains(&size.height) => Ok(format),
            Ok(_) => {
                let rule = format!("must be 1 to {SIDE_MAX} pixels wide and high");
                Err(Rule::new(reason::OUT_OF_RANGE, rule))
            }
            Err(_) => {
                let rule = "must be a whole picture; the size of this one cannot be read";
                Err(Rule::new(reason::MALFORMED, rule))
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{BYTES_MAX, ImageFormat};
    use crate::domain::invalid::reason;

    /// The beginning of a PNG of this size, as far as anybody here reads.
    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png.extend(b"\x08\x06\0\0\0");
        png
    }

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        let gif = b"GIF89a\x02\0\x03\0\0\0\0".to_vec();
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x04\0\0\xff\xc0\0\x11\x08\0\x02\0\x03\x03\x01\x22\0\x02\x11\x01"
                .to_vec();
        let webp = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\x01\x80\0\0\0\0\0\0\0\0\0\0".to_vec();
        for (image, format) in [
            (png(2, 3), ImageFormat::Png),
            (gif, ImageFormat::Gif),
            (jpeg, ImageFormat::Jpeg),
            (webp, ImageFormat::Webp),
        ] {
            assert_eq!(ImageFormat::of(&image), Ok(format));
        }
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>".to_vec();
        let mut heavy = png(1, 1);
        heavy.resize(BYTES_MAX + 1, 0);
        for (image, expected) in [
            (Vec::new(), reason::REQUIRED),
            (svg, reason::MALFORMED),
            (
                b"\xef\xbb\xbf<?xml version=\"1.0\"?><svg/>".to_vec(),
                reason::MALFORMED,
            ),
            (
                b"BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
                reason::MALFORMED,
            ),
            (b"\x89PNG\r\n\x1a\n".to_vec(), reason::MALFORMED),
            (png(0, 1), reason::OUT_OF_RANGE),
            (png(1, 4097), reason::OUT_OF_RANGE),
            (heavy, reason::TOO_LONG),
        ] {
            let refused = ImageFormat::of(&image).unwrap_err();
            assert_eq!(refused.reason, expected, "{:?}", image.get(..8));
        }
    }
}
